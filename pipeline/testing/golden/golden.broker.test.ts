/** The golden cases on a real broker: the lines written by hand, and the bytes of the test driver. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import type { ProcessorDefinition } from '#pipeline/processor.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { dlq } from '#schemas/topics.ts';
import { type BrokerRun, decoded, openBrokerRun } from './broker-run.ts';
import { lineOf } from './case.ts';
import { runInDriver } from './driver-run.ts';
import { expectedLive, LIVE_KEYS, live, liveLines, lives } from './live.ts';
import {
  CUTS_MS,
  expectedCounts,
  expectedLetters,
  expectedLines,
  letterOf,
  processors,
  recordsBetween,
} from './topology.ts';

const brokers = process.env['KAFKA_BROKERS'];
/** So long that none is taken before the end. */
const NEVER_MS = 3_600_000;
const [FIRST_MS = 0, SECOND_MS = 0, THIRD_MS = 0, LAST_MS = 0] = CUTS_MS;

describe.skipIf(brokers === undefined)('the golden cases on a broker (set KAFKA_BROKERS)', () => {
  let kafka: Kafka;
  let directory = '';
  let runs = 0;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'baleen-golden-'));
    const options = { clientId: 'test', log: silentLog, clock: systemClock };
    kafka = await openKafka({ brokers: (brokers ?? '').split(','), ...options });
  });
  afterAll(async () => {
    await kafka.close();
    await rm(directory, { recursive: true, force: true });
  });

  const openRun = async (of: readonly ProcessorDefinition[]): Promise<BrokerRun> => {
    runs += 1;
    const prefix = `golden-${Date.now().toString(36)}-${runs}.`;
    const run = await openBrokerRun({ kafka, processors: of, prefix });
    onTestFinished(() => run.close());
    return run;
  };
  const newFolder = (): Promise<string> => mkdtemp(join(directory, 'state-'));

  /** What comes in between two cuts, and the tick of the second. */
  const load = async (run: BrokerRun, fromMs: number, untilMs: number): Promise<void> => {
    for (const { topic, ...record } of recordsBetween(fromMs, untilMs)) await run.write(topic, record);
    await run.tick(untilMs);
  };

  test('come out as in the test driver', async () => {
    const run = await openRun(processors);
    for (const [cut, cutMs] of CUTS_MS.entries()) await load(run, CUTS_MS[cut - 1] ?? 0, cutMs);
    const running = await run.start(await newFolder(), { checkpointMs: 50 });
    await running.until(LAST_MS);
    await running.stop();

    const { streams } = await run.written();
    for (const [topic, expected] of expectedLines)
      expect(decoded(streams, run.serde, topic).map(lineOf), topic.name).toEqual(expected);
    expect(decoded(streams, run.serde, dlq).map(({ value }) => letterOf(value))).toEqual(expectedLetters);
    expect(streams.lines()).toEqual(runInDriver().streams());
    for (const [name, processor, store, count] of expectedCounts)
      expect(await running.metrics.total(name, { processor, store }), `${name} ${store}`).toBe(count);
  });

  test('are the same byte by byte when processes end, are killed and lose their state', async () => {
    const run = await openRun(processors);
    const folder = await newFolder();
    await load(run, 0, FIRST_MS);
    const first = await run.start(folder, { checkpointMs: 50 });
    await first.until(FIRST_MS);
    await first.stop();

    // On the same state. What it writes is in the log when it is killed, its state is not.
    const second = await run.start(folder, { checkpointMs: NEVER_MS });
    await load(run, FIRST_MS, SECOND_MS);
    await second.until(SECOND_MS);
    await second.crash();
    const before = await run.written();

    const third = await run.start(folder, { checkpointMs: NEVER_MS });
    await third.until(SECOND_MS);
    const again = await run.written();
    expect(again.records).toBeGreaterThan(before.records);
    expect(again.streams.lines()).toEqual(before.streams.lines());
    await load(run, SECOND_MS, THIRD_MS);
    await third.until(THIRD_MS);
    await third.stop();

    // Two at once: one has lost its state, and another machine has none either.
    await rm(folder, { recursive: true });
    const fourth = await run.start(folder, { checkpointMs: 50 });
    const copy = await run.start(await newFolder(), { checkpointMs: 50 });
    expect(fourth.restoredEntries).toBeGreaterThan(0);
    expect(copy.restoredEntries).toBeGreaterThan(0);
    await load(run, THIRD_MS, LAST_MS);
    for (const running of [fourth, copy]) await running.until(LAST_MS);
    for (const running of [fourth, copy]) await running.stop();

    const { streams } = await run.written();
    expect(streams.lines()).toEqual(runInDriver().streams());
  });

  test('end at their very log time on live topics where nothing more comes', async () => {
    const run = await openRun([live]);
    const running = await run.start(await newFolder(), { checkpointMs: 50 });
    const times = new Map<string, number>();
    for (const key of LIVE_KEYS)
      times.set(key, await run.write(lives, { key, value: { text: '' }, atMs: 0 }));
    await vi.waitFor(
      async () => {
        const { streams } = await run.written();
        const found = decoded(streams, run.serde, liveLines);
        for (const [key, atMs] of times)
          expect(found.filter((one) => one.key === key).map(lineOf)).toEqual(expectedLive(key, atMs));
      },
      { timeout: 30_000, interval: 200 },
    );
    await running.stop();
  });
});
