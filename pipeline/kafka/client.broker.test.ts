import { exec } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { isPipelineError } from '../errors.ts';
import { createLog } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { openKafka } from './client.ts';
import type { Entry, Fetcher, Kafka, KafkaRecord, Producer } from './types.ts';

const brokers = process.env.KAFKA_BROKERS;
/** A shell command that kills the broker with -9 and starts it again. */
const restart = process.env.KAFKA_KILL_AND_RESTART;
const run = Date.now().toString(36);
let named = 0;

const entry = (value: string | Buffer, options: Partial<Entry> = {}): Entry => ({
  timestampMs: Date.now(),
  key: null,
  value: Buffer.from(value),
  headers: [],
  ...options,
});

describe.skipIf(brokers === undefined)('the Kafka client (set KAFKA_BROKERS)', { timeout: 60_000 }, () => {
  let kafka: Kafka;
  beforeAll(async () => {
    const log = createLog({ level: 'error' });
    kafka = await openKafka({
      brokers: (brokers ?? '').split(','),
      clientId: 'test',
      log,
      clock: systemClock,
    });
  });
  afterAll(() => kafka.close());

  const topic = async (partitions: number, settings: Record<string, string> = {}): Promise<string> => {
    const name = `driver-${run}-${++named}`;
    const admin = kafka.admin();
    expect(await admin.createTopics([{ name, partitions, replication: 1, settings }])).toEqual([name]);
    return name;
  };

  const producer = (): Producer => {
    const made = kafka.producer();
    onTestFinished(() => made.close(AbortSignal.timeout(5_000)));
    return made;
  };

  const reader = (): {
    fetcher: Fetcher;
    seen: Map<number, KafkaRecord[]>;
    errors: Error[];
    until(isDone: () => boolean): Promise<void>;
  } => {
    const seen = new Map<number, KafkaRecord[]>();
    const errors: Error[] = [];
    let waiting: { isDone: () => boolean; resolve: () => void }[] = [];
    const check = () => {
      waiting = waiting.filter(({ isDone, resolve }) => !isDone() || resolve());
    };
    const fetcher = kafka.fetcher({
      onRecords: (_, partition, records) => {
        seen.set(partition, [...(seen.get(partition) ?? []), ...records]);
        check();
      },
      onError: (_topic, _partition, error) => {
        errors.push(error);
        check();
      },
    });
    onTestFinished(() => fetcher.close());
    const until = (isDone: () => boolean) =>
      new Promise<void>((resolve) => {
        waiting.push({ isDone, resolve });
        check();
      });
    return { fetcher, seen, errors, until };
  };

  const count = (seen: ReadonlyMap<number, readonly KafkaRecord[]>): number =>
    [...seen.values()].reduce((sum, records) => sum + records.length, 0);

  test('reads back what it wrote, in order, with headers, nulls and compression', async () => {
    const name = await topic(3, { 'retention.ms': '-1' });
    const plain = producer();
    const packed = kafka.producer({ compression: 'zstd' });
    onTestFinished(() => packed.close());
    const { fetcher, seen, until } = reader();
    for (let partition = 0; partition < 3; partition++) fetcher.add(name, partition, 0);
    for (let index = 0; index < 900; index++)
      plain.append(name, index % 3, entry(`${index}`, { timestampMs: index }));
    await plain.acknowledged();
    expect(plain.pendingBytes).toBe(0);
    const headers = [
      ['p', Buffer.from('w-1:2')],
      ['empty', Buffer.alloc(0)],
    ] as const;
    const place = await packed.send(name, 0, { timestampMs: 7, key: Buffer.from('k'), value: null, headers });
    expect(place).toEqual({ offset: 300, appendTimeMs: -1 });
    await until(() => count(seen) === 901);
    for (const [partition, records] of seen) {
      expect(records.map(({ offset }) => offset)).toEqual(records.map((_, index) => index));
      const own = records.slice(0, 300);
      expect(own.map(({ value }) => Number(value))).toEqual(own.map((_, index) => index * 3 + partition));
    }
    expect(seen.get(0)?.at(-1)).toMatchObject({
      timestampMs: 7,
      key: Buffer.from('k'),
      value: null,
      headers,
    });
    expect(await kafka.admin().offsets(name)).toContainEqual({ partition: 0, start: 0, end: 301 });
  });

  test('gives the append time in the acknowledgement and in the record', async () => {
    const name = await topic(1, { 'message.timestamp.type': 'LogAppendTime' });
    const { fetcher, seen, until } = reader();
    fetcher.add(name, 0, 0);
    const before = Date.now();
    const { offset, appendTimeMs } = await producer().send(name, 0, entry('x', { timestampMs: 5 }));
    await until(() => count(seen) === 1);
    expect(offset).toBe(0);
    expect(appendTimeMs).toBeGreaterThanOrEqual(before - 1);
    expect(seen.get(0)?.[0]?.timestampMs).toBe(appendTimeMs);
  });

  test('producing at once to new topics makes no duplicates and no gaps', async () => {
    const names = await Promise.all([12, 12, 12, 12].map((partitions) => topic(partitions)));
    const writer = producer();
    for (const name of names)
      for (let partition = 0; partition < 12; partition++) writer.append(name, partition, entry('1'));
    await writer.acknowledged();
    for (const name of names) {
      const ends = (await kafka.admin().offsets(name)).map(({ end }) => end);
      expect(ends).toEqual(Array.from({ length: 12 }, () => 1));
    }
  });

  test('an offset above the end is reported as such, and nothing is reset', async () => {
    const name = await topic(1);
    await producer().send(name, 0, entry('only'));
    const { fetcher, seen, errors, until } = reader();
    fetcher.add(name, 0, 50);
    await until(() => errors.length > 0);
    expect(isPipelineError(errors[0], 'OFFSET_OUT_OF_RANGE')).toBe(true);
    expect(errors[0]).toMatchObject({
      facts: { offset: 50, startOffset: 0, endOffset: 1, cause: 'truncation' },
    });
    expect(count(seen)).toBe(0);
  });

  test('carries a record of 8 MB where the topic allows it, and refuses it where not', async () => {
    const name = await topic(1, { 'max.message.bytes': '16777216' });
    const large = Buffer.alloc(8_000_000, 'x');
    const writer = producer();
    writer.append(name, 0, entry('before'));
    writer.append(name, 0, entry(large));
    writer.append(name, 0, entry('after'));
    const { fetcher, seen, until } = reader();
    fetcher.add(name, 0, 0);
    await until(() => count(seen) === 3);
    expect(seen.get(0)?.map(({ value }) => value?.length)).toEqual([6, 8_000_000, 5]);

    const small = await topic(1, { 'max.message.bytes': '2000' });
    const refused = kafka.producer();
    // Each fits, all together do not: split until they do.
    for (let index = 0; index < 20; index++) refused.append(small, 0, entry(Buffer.alloc(500, index)));
    await refused.acknowledged();
    expect((await kafka.admin().offsets(small))[0]?.end).toBe(20);
    await expect(refused.send(small, 0, entry(Buffer.alloc(5_000)))).rejects.toMatchObject({
      code: 'KAFKA_REFUSED',
    });
    await expect(refused.acknowledged()).rejects.toMatchObject({ code: 'KAFKA_REFUSED' });
    await refused.close();
  });

  test('a paused partition waits and goes on where it was; one added again starts where it is told', async () => {
    const name = await topic(2);
    const writer = producer();
    const { fetcher, seen, until } = reader();
    fetcher.add(name, 0, 0);
    fetcher.add(name, 1, 0);
    await writer.send(name, 0, entry('a'));
    await until(() => count(seen) === 1);
    fetcher.pause(name, 0);
    // The poll that was open at the pause ends with this record; the next ones leave the partition out.
    await writer.send(name, 1, entry('b'));
    await until(() => count(seen) === 2);
    await writer.send(name, 1, entry('c'));
    await until(() => count(seen) === 3);
    await writer.send(name, 0, entry('d'));
    await writer.send(name, 1, entry('e'));
    await until(() => count(seen) === 4);
    expect(seen.get(0)).toHaveLength(1);
    fetcher.resume(name, 0);
    await until(() => count(seen) === 5);
    expect(seen.get(0)?.map(({ value }) => value?.toString())).toEqual(['a', 'd']);
    seen.clear();
    fetcher.remove(name, 0);
    fetcher.add(name, 0, 1);
    await until(() => count(seen) === 1);
    expect(seen.get(0)?.[0]).toMatchObject({ offset: 1 });
  });

  test('a partition that takes nothing holds up no other where they are independent', async () => {
    const name = await topic(1);
    const missing = `${name}-later`;
    const writer = kafka.producer({ isIndependent: true });
    onTestFinished(() => writer.close(AbortSignal.abort()));
    const placed: unknown[] = [];
    const late = ['a', 'b'].map((value) =>
      writer.send(missing, 0, entry(value)).then(({ offset }) => placed.push(`${value}${offset}`)),
    );
    await expect.poll(() => writer.isHeldUp(missing, 0)).toBe(true);
    expect(await writer.send(name, 0, entry('x'))).toMatchObject({ offset: 0 });
    expect(writer.isHeldUp(name, 0)).toBe(false);
    let isAllThere = false;
    late.push(writer.send(missing, 0, entry('c')).then(({ offset }) => placed.push(`c${offset}`)));
    const all = writer.acknowledged().then(() => {
      isAllThere = true;
    });
    expect(await writer.send(name, 0, entry('y'))).toMatchObject({ offset: 1 });
    expect([isAllThere, placed]).toEqual([false, []]);
    await kafka.admin().createTopics([{ name: missing, partitions: 1, replication: 1, settings: {} }]);
    await Promise.all([...late, all]);
    expect(placed).toEqual(['a0', 'b1', 'c2']);
    expect([writer.isHeldUp(missing, 0), writer.pendingBytes]).toEqual([false, 0]);
    const { fetcher, seen, until } = reader();
    fetcher.add(missing, 0, 0);
    await until(() => count(seen) === 3);
    expect(seen.get(0)?.map(({ value }) => value?.toString())).toEqual(['a', 'b', 'c']);
  });

  test('closing rejects what waits for a partition that takes nothing, and what comes later', async () => {
    const writer = kafka.producer({ isIndependent: true });
    const waiting = writer.send(`driver-${run}-none`, 0, entry('a'));
    await expect.poll(() => writer.isHeldUp(`driver-${run}-none`, 0)).toBe(true);
    const closed = writer.close(AbortSignal.abort());
    await expect(waiting).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
    await closed;
    const own = await openKafka({
      brokers: (brokers ?? '').split(','),
      clientId: 'k',
      log: createLog({ level: 'error' }),
      clock: systemClock,
    });
    await own.close();
    await expect(own.producer().send(`driver-${run}-none`, 0, entry('a'))).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
    });
    await expect(own.admin().offsets(`driver-${run}-none`)).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
    });
  });

  test('topics, settings, group offsets and the number of brokers can be asked for', async () => {
    const name = await topic(2, { 'retention.ms': '12345' });
    const admin = kafka.admin();
    expect(await admin.createTopics([{ name, partitions: 2, replication: 1, settings: {} }])).toEqual([]);
    expect((await admin.topics()).get(name)).toBe(2);
    expect((await admin.settings([name])).get(name)).toMatchObject({ 'retention.ms': '12345' });
    await admin.commitOffsets(`lag-${run}`, [{ topic: name, partition: 1, offset: 3 }]);
    expect(await admin.brokerCount()).toBeGreaterThanOrEqual(1);
    await admin.deleteTopics([name]);
    await expect.poll(async () => (await admin.topics()).has(name)).toBe(false);
  });

  test('closing ends an open long poll and an idle client at once', async () => {
    const name = await topic(1);
    const polling = kafka.fetcher({ onRecords: () => {}, onError: () => {} }, { maxWaitMs: 20_000 });
    polling.add(name, 0, 0);
    await producer().send(name, 0, entry('x'));
    const startedMs = Date.now();
    await polling.close();
    expect(Date.now() - startedMs).toBeLessThan(2_000);
  });

  test.skipIf(restart === undefined)(
    'nothing is lost or reordered when the broker is killed (set KAFKA_KILL_AND_RESTART)',
    async () => {
      const name = await topic(4);
      const metrics = createMetrics();
      const { fetcher, seen, errors, until } = reader();
      for (let partition = 0; partition < 4; partition++) fetcher.add(name, partition, 0);
      const log = createLog({ level: 'error' });
      const own = await openKafka({
        brokers: (brokers ?? '').split(','),
        clientId: 'k',
        log,
        clock: systemClock,
        metrics,
      });
      onTestFinished(() => own.close());
      const writer = own.producer({ maxRequestBytes: 20_000 });
      let sent = 0;
      let isBack = false;
      const restarted = promisify(exec)(restart ?? '').then(() => {
        isBack = true;
      });
      while (!isBack || sent < 4_000) {
        writer.append(name, sent % 4, entry(`${Math.floor(sent / 4)}`));
        sent++;
        if (sent % 40 === 0) await Promise.race([writer.acknowledged(), restarted]);
        if (sent % 400 === 0) await systemClock.sleep(1);
      }
      while (sent % 4 !== 0) writer.append(name, sent++ % 4, entry(`${Math.floor(sent / 4)}`));
      await writer.acknowledged();
      const firsts = (partition: number): number => {
        let next = 0;
        for (const { value } of seen.get(partition) ?? []) if (Number(value) === next) next++;
        return next;
      };
      await until(
        () => errors.length > 0 || [0, 1, 2, 3].every((partition) => firsts(partition) >= sent / 4),
      );
      expect(errors).toEqual([]);
      for (const records of seen.values()) {
        let next = 0;
        for (const { value } of records) {
          expect(Number(value)).toBeLessThanOrEqual(next); // above would be a gap
          if (Number(value) === next) next++;
        }
      }
      expect(await metrics.total('produce_retries_total')).toBeGreaterThan(0);
    },
  );
});
