import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { type Channel, type ChannelPoint, channelPoint, createChannel, resumeChannel } from './channel.ts';
import type { Handed } from './handover.ts';
import { acceptTick, derivedInbound } from './inbound.ts';
import { formatPosition, nextDigest, POSITION_HEADER } from './position.ts';
import { watchTails } from './tails.ts';

/** Records 1, 2, ... of one writer, ten bytes each. */
function written(
  count: number,
  writer = 'w-0',
  text = 'v',
  epochOf: (sequence: number) => number = () => 1,
): readonly Handed[] {
  let digest = 0;
  return Array.from({ length: count }, (_, index) => {
    const sequence = index + 1;
    const digestBefore = digest;
    const value = Buffer.from(`${text}${sequence}`.padEnd(10));
    digest = nextDigest(digestBefore, sequence, null, value);
    const epoch = epochOf(sequence);
    const position = formatPosition({ writer, sequence, epoch, previousDigest: digestBefore });
    const headers = [[POSITION_HEADER, Buffer.from(position)]] as const;
    return {
      ...{ epoch, sequence, digestBefore, digest },
      entry: { timestampMs: sequence, key: null, value, headers },
    };
  });
}

const stored = (handed: Handed | undefined, offset: number): KafkaRecord => {
  if (handed === undefined) throw new Error('no such record');
  const { entry } = handed;
  const copy = (bytes: Buffer | null) => (bytes === null ? null : Buffer.from(bytes));
  return {
    ...entry,
    offset,
    value: copy(entry.value),
    headers: entry.headers.map(([name, bytes]) => [name, Buffer.from(bytes)] as const),
  };
};

function open(
  options: {
    point?: ChannelPoint;
    resumeOffset?: number;
    maxWaitingBytes?: number;
    epoch?: number;
    cutMs?: number;
  } = {},
) {
  const channels = [createChannel('t', 0, 'w-0'), createChannel('t', 0, 'w-1')] as const;
  const [channel, other] = channels;
  resumeChannel(channel, options.point ?? null);
  const inbound = derivedInbound({
    ...{ topic: 't', partition: 0, channels, epoch: options.epoch ?? 1, cutMs: options.cutMs ?? 0 },
    resumeOffset: options.resumeOffset ?? 0,
    maxWaitingBytes: options.maxWaitingBytes ?? 1_000,
  });
  const give = (record: Handed | undefined, to: Channel = channel): boolean =>
    record !== undefined && inbound.take(to, record);
  /** What the merge does. */
  const fold = (): number | undefined => {
    const taken = channel.queue.shift();
    if (taken === undefined) return undefined;
    channel.folded = { sequence: taken.order, digest: taken.digest };
    inbound.release(taken.value?.length ?? 0);
    return taken.order;
  };
  return { channel, other, inbound, give, fold };
}

const codeOf = (work: () => unknown): unknown => {
  try {
    work();
    return null;
  } catch (error) {
    return isPipelineError(error) ? error.code : error;
  }
};

describe('a record handed over in memory', () => {
  test('is taken when it is next, and once', () => {
    const { channel, inbound, give, fold } = open();
    const [one, two, three] = written(3);
    expect([give(one), give(one), give(two)]).toEqual([true, false, true]);
    expect([fold(), fold(), fold()]).toEqual([1, 2, undefined]);
    expect([0, 1].map((at) => inbound.accept(stored([one, two][at], at)))).toEqual([false, false]);
    expect(inbound.accept(stored(two, 2))).toBe(true);
    expect(fold()).toBeUndefined();
    inbound.accept(stored(three, 3));
    expect([channel.last.sequence, channel.stored.sequence, fold()]).toEqual([3, 3, 3]);
  });

  test('waits for what Kafka has yet to bring before it', () => {
    const { inbound, give, fold } = open();
    const records = written(5);
    for (const record of records.slice(2)) give(record);
    expect(fold()).toBeUndefined();
    inbound.accept(stored(records[0], 0));
    expect([fold(), fold()]).toEqual([1, undefined]);
    inbound.accept(stored(records[1], 1));
    expect([fold(), fold(), fold(), fold()]).toEqual([2, 3, 4, 5]);
    expect(inbound.waitingBytes).toBe(0);
  });

  test('comes from Kafka when one between was not handed over', () => {
    const { channel, inbound, give, fold } = open();
    const records = written(4);
    give(records[0]);
    give(records[2]);
    expect(channel.last.sequence).toBe(1);
    for (const at of [0, 1, 2, 3]) inbound.accept(stored(records[at], at));
    expect([fold(), fold(), fold(), fold(), fold()]).toEqual([1, 2, 3, 4, undefined]);
  });

  test('is left to Kafka when too much waits, or too much was not seen there yet', () => {
    const { inbound, give, fold } = open({ maxWaitingBytes: 20 });
    const records = written(5);
    expect(records.slice(0, 3).map((record) => give(record))).toEqual([true, true, false]);
    fold();
    fold();
    expect(give(records[2])).toBe(false);
    inbound.accept(stored(records[0], 0));
    expect(give(records[2])).toBe(true);
    for (const at of [1, 2]) inbound.accept(stored(records[at], at));
    fold();
    expect([give(records[3]), give(records[4])]).toEqual([true, true]);
  });

  test('counts for the promises of its writer', () => {
    const { channel, give } = open();
    acceptTick(channel, 50, 1, 0);
    expect(channel.frontierMs).toBe(0);
    give(written(1)[0]);
    acceptTick(channel, 60, 1, 0);
    expect(channel.frontierMs).toBe(60);
  });

  test('of another epoch is left to Kafka', () => {
    const { give } = open();
    expect(written(1).map((record) => give({ ...record, epoch: 2 }))).toEqual([false]);
  });

  test('follows in a reader that is new at a cut what was written before, which it does not fold', () => {
    const { channel, inbound, give, fold } = open({ epoch: 2, cutMs: 3 });
    const records = written(4, 'w-0', 'v', (sequence) => (sequence < 3 ? 1 : 2));
    for (const record of records.slice(2)) give(record);
    inbound.accept(stored(records[0], 0));
    expect([channel.folded.sequence, fold()]).toEqual([1, undefined]);
    inbound.accept(stored(records[1], 1));
    expect(channel.folded.sequence).toBe(2);
    expect([fold(), fold(), fold()]).toEqual([3, 4, undefined]);
    // Kafka shows one of them: the version before may write no more.
    inbound.accept(stored(records[2], 2));
    const [old] = written(5).slice(4);
    expect(codeOf(() => inbound.accept(stored(old, 3)))).toBe('EPOCH_CLOSED');
  });

  test('stops the task when Kafka shows other bytes, also once it is folded', () => {
    const { inbound, give, fold } = open();
    const [mine] = written(1);
    give(mine);
    fold();
    expect(codeOf(() => inbound.accept(stored(written(1, 'w-0', 'x')[0], 0)))).toBe('STREAM_FORKED');
  });

  test('stops the task when it does not follow from what Kafka showed', () => {
    const { inbound, give } = open();
    inbound.accept(stored(written(1, 'w-0', 'x')[0], 0));
    expect(codeOf(() => give(written(2)[1]))).toBe('STREAM_FORKED');
  });

  test('is missed when Kafka does not show it', () => {
    const { channel, inbound, give, fold } = open();
    const late = watchTails([channel], 10);
    const [one, two] = written(2);
    give(one);
    fold();
    expect([late(100), late(109), late(110)]).toEqual([[], [], [channel]]);
    give(two);
    expect(late(111)).toEqual([channel]);
    inbound.accept(stored(one, 0));
    expect([late(112), late(121), late(122)]).toEqual([[], [], [channel]]);
    inbound.accept(stored(two, 1));
    expect(late(200)).toEqual([]);
  });

  test('hides no hole in Kafka', () => {
    const { inbound, give } = open();
    const records = written(3);
    for (const record of records) give(record);
    inbound.accept(stored(records[0], 0));
    expect(codeOf(() => inbound.accept(stored(records[2], 1)))).toBe('SEQUENCE_GAP');
  });
});

describe('a restart', () => {
  test('reads on where the log was read to, as long as nothing that waits has a place before', () => {
    const { inbound, other, give, fold } = open();
    const records = written(3);
    for (const record of records) give(record);
    expect(inbound.resumePoint().offset).toBe(0);
    inbound.accept(stored(written(1, 'w-1')[0], 0));
    expect(inbound.resumePoint().offset).toBe(0);
    other.queue.shift();
    expect(inbound.resumePoint().offset).toBe(1);
    for (const at of [0, 1]) inbound.accept(stored(records[at], at + 1));
    fold();
    expect(inbound.resumePoint().offset).toBe(2);
    fold();
    fold();
    expect(inbound.resumePoint().offset).toBe(3);
  });

  test('compares what was folded before Kafka had shown it', () => {
    const first = open();
    const records = written(4);
    for (const record of records.slice(0, 3)) first.give(record);
    first.inbound.accept(stored(records[0], 0));
    for (let count = 0; count < 3; count += 1) first.fold();
    const point = channelPoint(first.channel);
    expect([point.sequence, point.stored?.sequence]).toEqual([3, 1]);

    const again = open({ point, resumeOffset: 1 });
    for (const at of [1, 2, 3]) again.inbound.accept(stored(records[at], at));
    expect([again.fold(), again.fold()]).toEqual([4, undefined]);

    const forked = open({ point, resumeOffset: 1 });
    const digestBefore = records[1]?.digestBefore ?? 0;
    const value = Buffer.from('other');
    const record = { ...stored(records[1], 1), value };
    forked.inbound.accept(record);
    expect(forked.channel.stored.digest).toBe(nextDigest(digestBefore, 2, null, value));
    expect(codeOf(() => forked.inbound.accept(stored(records[2], 2)))).toBe('STREAM_FORKED');
  });
});
