import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { RunningTasks } from '#pipeline/runtime/running-tasks.ts';
import { findStore, storeNames } from '#pipeline/runtime/state-view.ts';
import type { Log, LogFields } from '#pipeline/telemetry/log.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { Random } from '#pipeline/testing/simulation/scheduler.ts';
import { graph } from './graph.ts';
import { startThreads, type ThreadsOptions } from './threads.ts';

const tasks = graph.tasks();
const running: RunningTasks[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

/** Threads without Kafka; see the fixture for what may become of them. */
async function start(fate: string, given: Partial<ThreadsOptions> = {}): Promise<RunningTasks> {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'baleen-threads-'));
  onTestFinished(() => rm(stateDirectory, { recursive: true, force: true }));
  const started = await startThreads({
    threads: 2,
    tasks,
    brokers: [],
    kafkaSecurity: null,
    registryUrl: fate,
    topicNames: new Map(),
    genesis: { fingerprint: 'f', epoch: 1, startOffsets: new Map() },
    instance: 'i',
    lagGroup: null,
    stateDirectory,
    limits: {},
    hop: 'on',
    log: silentLog,
    metrics: createMetrics(),
    entry: new URL('./fixtures/pretended-thread.ts', import.meta.url),
    ...given,
  });
  running.push(started);
  return started;
}

const named = ({ tasks: present }: RunningTasks) => present.map(({ writer }) => writer);
const names = (some: typeof tasks) => some.map(({ subTopology, partition }) => `${subTopology}-${partition}`);

describe('tasks in two threads', () => {
  test('all run, and are shown in the order of the graph', async () => {
    const here = await start('well');
    expect(named(here)).toEqual(names(tasks));
    expect(here.tasks[0]).toMatchObject({ step: 1, lag: 3, boundMs: Number.POSITIVE_INFINITY });
  });

  test('change while they run, and none is opened in one thread before it is closed in another', async () => {
    const random = new Random(5);
    const stateDirectory = await mkdtemp(join(tmpdir(), 'baleen-threads-'));
    onTestFinished(() => rm(stateDirectory, { recursive: true, force: true }));
    const here = await start('well', { tasks: [], stateDirectory, threads: 3 });
    let wanted: typeof tasks = [];
    for (let round = 0; round < 40; round += 1) {
      wanted = tasks.filter(() => random.chance(0.5));
      const done = here.assign(wanted);
      // Some come faster than they can be done.
      if (random.chance(0.5)) await done;
    }
    await here.assign(wanted);
    expect(named(here)).toEqual(names(wanted));
    expect((await readdir(stateDirectory)).sort()).toEqual([...names(wanted)].sort());
    await expect(Promise.race([here.failed, null])).resolves.toBeNull();
  });

  test('have one sum of metrics, and lines in the log that name the thread', async () => {
    const metrics = createMetrics();
    const lines: (readonly [string, string, LogFields | undefined])[] = [];
    const logOf = (component: string): Log => ({
      ...silentLog,
      warn: (message, fields) => void lines.push([component, message, fields]),
      for: logOf,
    });
    await start('well', { metrics, log: logOf('none') });
    expect(await metrics.total('commits_total')).toBe(4);
    expect(await metrics.render()).toContain('baleen_commits_total{subtopology="detect"} 4\n');
    expect(lines.map(([component, message]) => `${component} ${message}`)).toEqual([
      'kafka a word',
      'kafka a word',
    ]);
    expect(lines.map(([, , fields]) => fields?.['thread']).sort()).toEqual([1, 2]);
    expect(lines[0]?.[2]).toMatchObject({ n: 1, error: new Error('why') });
  });

  test('answer for their stores together', async () => {
    const here = await start('well');
    const found = findStore(graph, storeNames(graph)[0] ?? '');
    const answers = await here.lookUp(found, 'a key');
    expect(answers.map(({ task }) => task)).toEqual(names(tasks));
    expect(answers[0]?.value).toBe('a key');
  });

  test('are drained when all are and none has moved meanwhile', async () => {
    const here = await start('hears late');
    expect(await here.isDrained()).toBe(false);
    expect(await here.isDrained()).toBe(true);
  });

  test('have ended when all that have tasks have', async () => {
    expect(await (await start('ends')).ended).toBe(7);
    expect(await (await start('ends', { tasks: tasks.slice(0, 1) })).ended).toBe(7);
    const half = await start('the first ends');
    // What it said before its answer was heard.
    await half.isDrained();
    await expect(Promise.race([half.ended, null])).resolves.toBeNull();
  });

  test('rest when they are stopped, and say so by their locks', async () => {
    const stateDirectory = await mkdtemp(join(tmpdir(), 'baleen-threads-'));
    onTestFinished(() => rm(stateDirectory, { recursive: true, force: true }));
    const here = await start('well', { stateDirectory });
    await here.stop();
    expect(await readdir(stateDirectory)).toEqual([]);
    await expect(Promise.race([here.failed, null])).resolves.toBeNull();
  });
});

describe('a thread that cannot go on', () => {
  test('and dies ends all, with its number and its tasks', async () => {
    const here = await start('dies when asked', { threads: 1, tasks: tasks.slice(0, 2) });
    // Nobody waits for an answer that cannot come.
    await expect(here.isDrained()).rejects.toThrow('has died');
    const error = await here.failed;
    expect(isPipelineError(error, 'THREAD_FAILED')).toBe(true);
    expect(error.message).toContain(
      `thread 1 (${names(tasks.slice(0, 2)).join(', ')}) has died: out of luck`,
    );
  });

  test('and dies at the start lets the start fail', async () => {
    await expect(start('dies at the start')).rejects.toThrow(/thread [12] \(.*\) has died: no legs/);
  });

  test('for a reason of ours keeps its code and facts', async () => {
    const error: unknown = await start('cannot begin').catch((cause: unknown) => cause);
    expect(isPipelineError(error, 'STATE_UNREADABLE') && error.facts).toEqual({ at: 'x' });
    expect(error).toMatchObject({ message: 'somebody else has it open' });
  });

  test('while it stops is a warning: the stop goes on', async () => {
    const warned: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warned.push(message) };
    const here = await start('dies while it stops', { log: { ...log, for: () => log } });
    await here.stop();
    expect(warned.filter((message) => message.startsWith('no last checkpoints'))).toHaveLength(2);
  });
});

test('a start that waits for the version before is given up by its signal', async () => {
  const stopping = new AbortController();
  const starting = start('waits', { signal: stopping.signal });
  stopping.abort(new Error('enough'));
  await expect(starting).rejects.toThrow('enough');
});
