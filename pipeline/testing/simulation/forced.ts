/** A cut that is forced: the operator who does it, and what still holds of what comes out then. */

import { createFences } from '#pipeline/merge/fence.ts';
import { formatPosition, nextDigest, POSITION_HEADER, readPosition } from '#pipeline/merge/position.ts';
import { bringBack } from '#pipeline/plan/exclude.ts';
import { forceCut } from '#pipeline/plan/force.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { type Owner, simulatedClock, WORLD } from './scheduler.ts';

import { type Streams, timeOf } from './streams.ts';
import { decodeValue, graphs, planTopic, serde } from './topology.ts';
import { Violation, type World } from './world.ts';

const never = new AbortController().signal;

/**
 * Forces the last cut: at once, or once all have come there that can. Whoever does it may die in its midst; then somebody does it
 * again.
 */
export function forceInWorld(world: World, how: 'now' | 'last', onDone: () => void): void {
  const { scheduler, log } = world;
  const { random } = scheduler;
  let attempts = 0;
  const attempt = (): void => {
    attempts += 1;
    const owner: Owner = { isDead: false, isPaused: false };
    if (attempts < 3 && random.chance(0.4)) {
      scheduler.after(random.between(0, 60), WORLD, () => {
        owner.isDead = true;
        if (!isDone) attempt();
      });
    }
    let isDone = false;
    const force = how === 'now' ? forceCut : bringBack;
    force({
      signal: never,
      kafka: log.client(owner),
      serde,
      topic: planTopic,
      physicalName: (topic) => topic,
      graph: world.graphOf(world.versions().length),
      clock: simulatedClock(scheduler, owner, 0),
      note: null,
      instance: `force-${world.versions().length}-${attempts}`,
      openScratch: async () => createMemoryBackend(),
      // What runs on all the same must do no harm.
      silenceMs: 0,
    }).then(
      () => {
        isDone = true;
        if (!owner.isDead) onDone();
      },
      (error: unknown) => world.fail(error, owner),
    );
  };
  attempt();
}

/** A request of a copy of a forced task arrives, from long ago: the next record of its stream, as version 1 wrote it. */
export function writeAsZombie(world: World): void {
  const { log, scheduler } = world;
  const version = world.versions().at(-1);
  const names = [...(version?.fences.keys() ?? [])];
  if (version === undefined || names.length === 0) return;
  const [topic = '', partition = '', writer = ''] = scheduler.random.pick(names).split('/');
  const { records } = log.partition(topic, Number(partition));
  const fences = createFences();
  let [sequence, digest] = [0, 0];
  for (const record of records) {
    const position = readPosition(record.headers, topic);
    if (!fences.hears(position.writer, position, record.offset)) continue;
    if (position.writer !== writer || position.sequence <= sequence) continue;
    sequence = position.sequence;
    digest = nextDigest(digest, record.timestampMs, record.key, record.value);
  }
  const like = records.find(({ value }) => value !== null);
  if (like === undefined) return;
  const position = formatPosition({ writer, sequence: sequence + 1, epoch: 1, previousDigest: digest });
  log.append(topic, Number(partition), {
    timestampMs: version.cut?.logTimeMs ?? 0,
    key: like.key,
    value: like.value,
    headers: [[POSITION_HEADER, Buffer.from(position)]],
  });
}

/** Tasks that did not come to a cut by themselves, and those that something was kept from: there, order may be another one. */
export function inexact(world: World): readonly string[] {
  const versions = world.versions();
  const left = versions.flatMap(({ excluded }) => excluded.flatMap(readersOf));
  return [...new Set([...versions.flatMap(({ forced }) => forced), ...left])];
}

/** A task itself; of a partition, those that read it. */
const readersOf = (name: string): readonly string[] => {
  const [topic = '', partition = ''] = name.split('/');
  if (partition === '') return [name];
  const all = graphs[0].nodes.filter(({ keyedInputs, broadcastInputs }) =>
    [...keyedInputs, ...broadcastInputs].some((input) => input.name === topic),
  );
  return all.flatMap(({ name: node, partitions, keyedInputs }) =>
    Array.from({ length: partitions }, (_, index) => `${node}-${index}`).filter(
      (task) => keyedInputs.every((input) => input.name !== topic) || task === `${node}-${partition}`,
    ),
  );
};

/** Whether a stream is of such a task, or of one that reads what such tasks write. */
export function isTouched(name: string, tasks: readonly string[]): boolean {
  const writer = name.split('/')[2] ?? '';
  const [subTopology = ''] = writer.split('-');
  const upstream = { e: ['na', 'nb'], s: ['na', 'nb', 'e'] }[subTopology] ?? [];
  return tasks.some((task) => task === writer || upstream.includes(task.split('-')[0] ?? ''));
}

/** What a forced cut may double, and may not lose: each record is somewhere in what its reader made of it. */
export function checkNothingLost({ log, stuck }: World, streams: Streams, endMs: number): void {
  const linesOf = (topic: string, partition: string, isOf: (writer: string) => boolean) =>
    [...streams]
      .filter(([name]) => {
        const [at, inPartition, writer = ''] = name.split('/');
        return at === topic && (partition === '*' || inPartition === partition) && isOf(writer);
      })
      .flatMap(([, lines]) => lines);
  /** Key and number. */
  const nameOf = (line: string) =>
    line
      .split(' ')
      .filter((_, at) => at === 1 || at === 3)
      .join(' ');
  for (const partition of ['0', '1']) {
    if (stuck === `s-${partition}`) continue;
    const read = [
      ...linesOf('mid', partition, (writer) => !writer.startsWith('nb')),
      ...linesOf('dev', partition, () => true),
    ].filter((line) => timeOf(line) <= endMs);
    const made = new Set(linesOf('fin', '*', (writer) => writer === `s-${partition}`).map(nameOf));
    const lost = read.find((line) => !made.has(nameOf(line)));
    if (lost !== undefined) throw new Violation(`s-${partition} has never folded ${lost}`);
    if (stuck === `na-${partition}` || stuck === `a/${partition}` || stuck === 'facts/0') continue;
    let maximumMs = 0;
    const normalized = new Set(
      linesOf('mid', '*', (writer) => writer === `na-${partition}`).map((line) => line.split(' ')[3]),
    );
    for (const { timestampMs, key, value } of log.partition('a', Number(partition)).records) {
      maximumMs = Math.max(maximumMs, timestampMs);
      // Logic throws on some of key 7.
      if (value === null || maximumMs > endMs || String(key) === '7') continue;
      const { number } = decodeValue('a', value);
      if (!normalized.has(String(number)))
        throw new Violation(`na-${partition} has never folded record ${number}`);
    }
  }
}
