/**
 * Somebody else was first with one record, and wrote other bytes: a process that had taken its own from memory must stop,
 * however late it sees what the log has.
 */
import { taskName } from '#pipeline/runtime/graph.ts';
import { SimulatedProcess } from './process.ts';
import { settle } from './settle.ts';
import { graphs } from './topology.ts';
import { Violation, World } from './world.ts';

/** Throws a Violation. */
export async function runForgery(seed: number): Promise<void> {
  const world = new World(seed);
  world.endanger(null);
  const { random } = world.scheduler;
  const all = new Set(graphs[0].tasks().map(taskName));
  const process = new SimulatedProcess(world, 0, all);
  // All is taken from memory: nobody is full, nobody comes later.
  process.hop = 'on';
  process.maxWaitingBytes = 1_000_000;
  world.processes.push(process);
  process.start();
  world.startSink();
  while (process.processing?.tasks.length !== all.size && world.failure === null)
    if (!(await world.scheduler.step())) world.scheduler.advance(1);
  let left = random.between(1, 4);
  world.log.forge = (topic, entry) => {
    if (topic !== 'mid' && topic !== 'dev') return entry;
    left -= 1;
    return left === 0 ? { ...entry, timestampMs: entry.timestampMs + 1 } : entry;
  };
  await settle(world, world.scheduler.nowMs + 20, true).catch(() => {});
  // All may be promised before the first of it was read back.
  for (let events = 0; events < 2_000 && world.failure === null; events += 1)
    if (!(await world.scheduler.step())) world.scheduler.advance(1);
  if (world.code === 'STREAM_FORKED') return;
  throw world.failure ?? new Violation('a record with other bytes than were folded stayed unseen');
}
