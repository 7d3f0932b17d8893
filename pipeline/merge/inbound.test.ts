import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { type Channel, channelPoint, createChannel, resumeChannel } from './channel.ts';
import { fenceEntry } from './fence.ts';
import { acceptTick, derivedInbound, rawInbound } from './inbound.ts';
import { formatPosition, nextDigest, POSITION_HEADER, readPosition, TICK_HEADERS } from './position.ts';
import { isTailLate, tailLost } from './tails.ts';

function codeOf(work: () => unknown): string | null {
  try {
    work();
    return null;
  } catch (error) {
    return isPipelineError(error) ? error.code : String(error);
  }
}

describe('rawInbound', () => {
  const START = { offset: 0, maximumMs: 0, digest: 0 };
  const record = (offset: number, timestampMs: number, value = `v${offset}`): KafkaRecord => ({
    offset,
    timestampMs,
    key: null,
    value: Buffer.from(value),
    headers: [],
  });
  const tick = (offset: number, timestampMs: number): KafkaRecord => ({
    offset,
    timestampMs,
    key: null,
    value: null,
    headers: TICK_HEADERS,
  });
  const open = (resume = START) => {
    const channel = createChannel('raw', 0, '');
    const inbound = rawInbound(channel, resume);
    /** What the merge does when it takes a record. */
    const fold = () => {
      const taken = channel.queue.shift();
      if (taken === undefined) throw new Error('nothing to fold');
      inbound.release(taken.value?.length ?? 0);
      return taken;
    };
    return { channel, inbound, fold };
  };

  test('never lets log time fall within a partition', () => {
    const { channel, inbound, fold } = open();
    for (const [offset, timestampMs] of [10, 30, 20, 30].entries())
      inbound.accept(record(offset, timestampMs));
    expect([fold(), fold(), fold(), fold()].map(({ logTimeMs }) => logTimeMs)).toEqual([10, 30, 30, 30]);
    expect(channel.frontierMs).toBe(30);
  });

  test('a tick advances the frontier and is never queued', () => {
    const { channel, inbound } = open();
    expect(inbound.accept(tick(0, 50))).toBe(false);
    expect([channel.frontierMs, channel.queue.length]).toEqual([50, 0]);
    inbound.accept(record(1, 40));
    expect(channel.queue.first?.logTimeMs).toBe(50);
  });

  test('a tick behind waiting records counts once they are folded', () => {
    const { channel, inbound, fold } = open();
    inbound.accept(record(0, 10));
    inbound.accept(tick(1, 50));
    expect(channel.frontierMs).toBe(10);
    fold();
    expect(channel.frontierMs).toBe(50);
  });

  test('drops what it has and stops at a hole', () => {
    const { inbound } = open({ offset: 5, maximumMs: 0, digest: 0 });
    expect(inbound.accept(record(4, 1))).toBe(true);
    expect(inbound.accept(record(5, 1))).toBe(false);
    expect(inbound.accept(record(5, 1))).toBe(true);
    expect(codeOf(() => inbound.accept(record(7, 1)))).toBe('OFFSET_GAP');
    expect(inbound.nextOffset).toBe(6);
  });

  test('resumes at the first record that is not folded, with the maximum and digest just before it', () => {
    const { inbound, fold } = open();
    for (const [offset, timestampMs] of [10, 40, 20].entries()) inbound.accept(record(offset, timestampMs));
    fold();
    expect(inbound.resumePoint()).toMatchObject({ offset: 1, maximumMs: 10 });
    fold();
    const resume = inbound.resumePoint();
    expect(resume).toMatchObject({ offset: 2, maximumMs: 40 });
    const again = open(resume);
    expect(again.channel.frontierMs).toBe(40);
    // It reads the record before once more, to see that the topic is still the same.
    expect(again.inbound.nextOffset).toBe(1);
    again.inbound.accept(record(1, 40));
    again.inbound.accept(record(2, 20));
    expect(again.channel.queue.first).toMatchObject({ offset: 2, logTimeMs: 40, maximumBefore: 40 });
    expect(again.inbound.resumePoint()).toEqual(resume);
  });

  test('refuses a topic that was made anew', () => {
    const { inbound, fold } = open();
    for (const [offset, timestampMs] of [10, 40].entries()) inbound.accept(record(offset, timestampMs));
    fold();
    const again = open(inbound.resumePoint());
    expect(codeOf(() => again.inbound.accept(record(0, 10, 'another')))).toBe('STREAM_FORKED');
  });

  test('resumes behind everything when nothing waits, ticks included', () => {
    const { inbound, fold } = open();
    inbound.accept(record(0, 10));
    inbound.accept(tick(1, 50));
    fold();
    expect(inbound.resumePoint()).toMatchObject({ offset: 2, maximumMs: 50 });
  });

  test('may pause only when a record waits, and counts the bytes that wait', () => {
    const { inbound, fold } = open();
    expect(inbound.canPause()).toBe(false);
    inbound.accept(record(0, 10, 'abc'));
    expect([inbound.canPause(), inbound.waitingBytes]).toEqual([true, 3]);
    fold();
    expect([inbound.canPause(), inbound.waitingBytes]).toEqual([false, 0]);
  });
});

describe('derivedInbound', () => {
  /** What tasks write: records with positions, their digests chained. */
  const createWriter = (name: string, epoch = 1) => {
    let sequence = 0;
    let previousDigest = 0;
    return (offset: number, timestampMs: number, value = `${name}${sequence + 1}`): KafkaRecord => {
      sequence += 1;
      const position = formatPosition({ writer: name, sequence, epoch, previousDigest });
      const bytes = Buffer.from(value);
      previousDigest = nextDigest(previousDigest, timestampMs, null, bytes);
      return {
        offset,
        timestampMs,
        key: null,
        value: bytes,
        headers: [[POSITION_HEADER, Buffer.from(position)]],
      };
    };
  };
  const open = (options: { resumeOffset?: number; epoch?: number; cutMs?: number } = {}) => {
    const channels = [createChannel('t', 0, 'w-0'), createChannel('t', 0, 'w-1')] as [Channel, Channel];
    const inbound = derivedInbound({
      topic: 't',
      partition: 0,
      channels,
      resumeOffset: 0,
      epoch: 1,
      maxWaitingBytes: 1_000,
      ...options,
    });
    return { channels, inbound };
  };
  /** The same bytes again at another offset: a resend, or a copy of the task. */
  const again = (record: KafkaRecord, offset: number): KafkaRecord => ({ ...record, offset });

  test('queues each writer for itself and drops what it has seen', () => {
    const { channels, inbound } = open();
    const [w0, w1] = [createWriter('w-0'), createWriter('w-1')];
    const [first, second] = [w0(0, 5), w1(1, 3)];
    expect([first, second, again(first, 2), w0(3, 6)].map((record) => inbound.accept(record))).toEqual([
      false,
      false,
      true,
      false,
    ]);
    expect(channels.map(({ queue }) => queue.length)).toEqual([2, 1]);
    expect(inbound.nextOffset).toBe(4);
  });

  test('stops at a gap in the sequence of a writer', () => {
    const { inbound } = open();
    const writer = createWriter('w-0');
    inbound.accept(writer(0, 1));
    writer(1, 1);
    expect(codeOf(() => inbound.accept(writer(2, 1)))).toBe('SEQUENCE_GAP');
  });

  test('stops when a second copy of a task computed other bytes', () => {
    const { inbound } = open();
    const [one, other] = [createWriter('w-0'), createWriter('w-0')];
    inbound.accept(one(0, 1, 'same'));
    inbound.accept(one(1, 1, 'this'));
    expect(inbound.accept(other(2, 1, 'same'))).toBe(true);
    expect(inbound.accept(other(3, 1, 'that'))).toBe(true);
    expect(codeOf(() => inbound.accept(other(4, 1, 'next')))).toBe('STREAM_FORKED');
  });

  test('stops at a writer that the graph does not know, and at a record without a position', () => {
    const { inbound } = open();
    expect(codeOf(() => inbound.accept(createWriter('w-7')(0, 1)))).toBe('STREAM_FORKED');
    expect(codeOf(() => inbound.accept({ ...createWriter('w-0')(1, 1), headers: [] }))).toBe('STREAM_FORKED');
  });

  /** The next record of a writer, as the version of another epoch writes it. */
  const inEpoch = (record: KafkaRecord, epoch: number): KafkaRecord => {
    const { writer, sequence, previousDigest } = readPosition(record.headers, 'here');
    const position = formatPosition({ writer, sequence, epoch, previousDigest });
    return { ...record, headers: [[POSITION_HEADER, Buffer.from(position)]] };
  };

  test('takes what the version before wrote up to the cut, and then the next one from the next sequence on', () => {
    const { channels, inbound } = open({ epoch: 2, cutMs: 100 });
    const [channel] = channels;
    const writer = createWriter('w-0');
    // A timer of the old version that was due at the very time of the cut: it comes after the cut in the order of all.
    const last = writer(0, 100);
    expect(inbound.accept(last)).toBe(false);
    expect(inbound.accept(inEpoch(writer(1, 100), 2))).toBe(false);
    expect(inbound.accept(again(last, 2))).toBe(true);
    expect([channel.queue.length, channel.epoch]).toEqual([2, 2]);
  });

  test('passes over what was before the cut, and still finds a loss there', () => {
    const { channels, inbound } = open({ epoch: 2, cutMs: 100 });
    const [channel] = channels;
    const writer = createWriter('w-0');
    for (const offset of [0, 1]) inbound.accept(writer(offset, 98 + offset));
    expect([channel.queue.length, channel.folded.sequence]).toEqual([0, 2]);
    writer(2, 100);
    expect(codeOf(() => inbound.accept(inEpoch(writer(3, 101), 2)))).toBe('SEQUENCE_GAP');
  });

  test('stops at a version that writes on beyond its cut', () => {
    const { inbound } = open({ epoch: 2, cutMs: 100 });
    const writer = createWriter('w-0');
    expect(codeOf(() => inbound.accept(writer(0, 101)))).toBe('EPOCH_CLOSED');
    const later = open({ epoch: 2, cutMs: 100 }).inbound;
    const other = createWriter('w-1');
    later.accept(inEpoch(other(0, 100), 2));
    expect(codeOf(() => later.accept(other(1, 100)))).toBe('EPOCH_CLOSED');
  });

  test('drops what is left of a writer that the version no longer has', () => {
    const { inbound } = open({ epoch: 2, cutMs: 100 });
    expect(inbound.accept(createWriter('gone-0')(0, 5))).toBe(true);
  });

  test('leaves the records of a writer that only a later version knows for that version to find', () => {
    const { channels, inbound } = open();
    const writer = createWriter('w-0');
    inbound.accept(inEpoch(createWriter('new-0')(0, 50), 2));
    inbound.accept(writer(1, 50));
    channels[0].queue.shift();
    expect(inbound.resumePoint().offset).toBe(0);
    expect(inbound.nextOffset).toBe(2);
  });

  test('knows from which sequence on a later version wrote', () => {
    const { channels, inbound } = open();
    const writer = createWriter('w-0');
    inbound.accept(writer(0, 50));
    inbound.accept(inEpoch(writer(1, 50), 2));
    expect(channels.map(({ laterFrom }) => laterFrom)).toEqual([2, Number.POSITIVE_INFINITY]);
  });

  const fence = (offset: number, writer: string, epoch: number): KafkaRecord => ({
    ...fenceEntry(writer, epoch, 100),
    offset,
  });

  test('drops what a writer goes on writing as an earlier version behind a fence, and takes the next version', () => {
    const { channels, inbound } = open({ epoch: 2, cutMs: 100 });
    const [old, zombie] = [createWriter('w-0'), createWriter('w-0')];
    const [first, again] = [old(0, 100), zombie(0, 100)];
    expect(inbound.accept(first)).toBe(false);
    expect(inbound.accept(again)).toBe(true);
    expect(inbound.accept(fence(1, 'w-0', 2))).toBe(false);
    expect(inbound.accept(zombie(2, 100, 'unheard'))).toBe(true);
    expect(inbound.accept(zombie(3, 100, 'unheard'))).toBe(true);
    expect(inbound.accept(inEpoch(old(4, 101, 'heard'), 2))).toBe(false);
    expect(channels[0].queue.length).toBe(2);
  });

  test('knows a fence after a restart that reads on behind it', () => {
    const { channels, inbound } = open({ epoch: 2, cutMs: 100 });
    inbound.accept(fence(0, 'w-0', 2));
    inbound.accept(fence(1, 'w-1', 2));
    const restarted = open({ epoch: 2, cutMs: 100, resumeOffset: 2 });
    for (const [index, channel] of restarted.channels.entries())
      resumeChannel(channel, channelPoint(channels[index] as Channel));
    expect(restarted.inbound.accept(createWriter('w-0')(2, 100))).toBe(true);
    expect(restarted.channels[0].queue.length).toBe(0);
  });

  test('hears after a restart what lies before a fence that it knows', () => {
    const { inbound, channels } = open({ epoch: 2, cutMs: 100 });
    channels[0].fences = [{ epoch: 2, offset: 5 }];
    expect(inbound.accept(createWriter('w-0')(0, 100))).toBe(false);
    expect(channels[0].queue.length).toBe(1);
  });

  test('a version that is over stops at the fence, also of a writer that it does not know', () => {
    for (const writer of ['w-0', 'other-0'])
      expect(codeOf(() => open().inbound.accept(fence(0, writer, 2)))).toBe('EPOCH_CLOSED');
  });

  test('counts what was not folded at a forced cut as if it had come there', () => {
    const { channels, inbound } = open({ epoch: 2, cutMs: 100 });
    const [channel] = channels;
    const writer = createWriter('w-0');
    const before = writer(0, 40);
    const { key, value } = before;
    const digest = nextDigest(0, 40, key, value);
    resumeChannel(channel, { sequence: 1, digest, floorMs: 100 });
    expect(channel.frontierMs).toBe(100);
    for (const record of [before, writer(1, 60), writer(2, 100), inEpoch(writer(3, 130), 2)])
      inbound.accept(record);
    const times = [1, 2, 3].map(() => channel.queue.shift()).map((pending) => pending?.logTimeMs);
    expect(times).toEqual([100, 100, 130]);
    expect(channelPoint(channel)).toMatchObject({ sequence: 1, floorMs: 100 });
  });

  test('holds a tick back until the records that it covers are here', () => {
    const { channels, inbound } = open();
    const [channel] = channels;
    const writer = createWriter('w-0');
    acceptTick(channel, 100, 2, 0);
    inbound.accept(writer(0, 50));
    expect(channel.frontierMs).toBe(0);
    inbound.accept(writer(1, 60));
    expect(channel.frontierMs).toBe(100);
    // Older ticks prove nothing new.
    acceptTick(channel, 90, 2, 0);
    expect(channel.frontierMs).toBe(100);
  });

  test('says that the tail is lost when a tick waits too long', () => {
    const { channels, inbound } = open();
    const [channel] = channels;
    const writer = createWriter('w-0');
    inbound.accept(writer(0, 50));
    acceptTick(channel, 100, 2, 1_000);
    acceptTick(channel, 120, 2, 5_000);
    // A writer that goes on telling does not make the wait young again.
    acceptTick(channel, 130, 3, 9_000);
    expect(isTailLate(channel, 10_999, 10_000)).toBe(false);
    expect(isTailLate(channel, 11_000, 10_000)).toBe(true);
    expect(tailLost(channel)).toMatchObject({ code: 'SEQUENCE_GAP', action: 'stop' });
    inbound.accept(writer(1, 60));
    inbound.accept(writer(2, 70));
    expect(isTailLate(channel, 99_000, 10_000)).toBe(false);
  });

  test('resumes at the first waiting record of any writer and then drops what others had folded', () => {
    const { channels, inbound } = open();
    const [w0, w1] = [createWriter('w-0'), createWriter('w-1')];
    const records = [w0(0, 1), w1(1, 9), w0(2, 2)];
    for (const record of records) inbound.accept(record);
    for (const _ of [1, 2]) {
      const folded = channels[0].queue.shift();
      if (folded !== undefined) channels[0].folded = { sequence: folded.order, digest: folded.digest };
    }
    expect(inbound.resumePoint()).toEqual({ offset: 1, maximumMs: 0, digest: 0 });

    const restarted = open({ resumeOffset: 1 });
    for (const [index, channel] of restarted.channels.entries()) {
      resumeChannel(channel, channelPoint(channels[index] as Channel));
    }
    expect(records.map((record) => restarted.inbound.accept(record))).toEqual([true, false, true]);
    expect(restarted.inbound.accept(w0(3, 4))).toBe(false);
  });

  test('may pause only when every writer has a record waiting', () => {
    const { inbound } = open();
    inbound.accept(createWriter('w-0')(0, 1));
    expect(inbound.canPause()).toBe(false);
    inbound.accept(createWriter('w-1')(1, 1));
    expect(inbound.canPause()).toBe(true);
  });
});
