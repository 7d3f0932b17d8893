import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { Entry } from '#pipeline/kafka/types.ts';
import { formatPosition, nextDigest } from '#pipeline/merge/position.ts';
import { first, second } from '#pipeline/testing/fold-run.ts';
import type { Topic } from '#schemas/topics.ts';
import { createOutputs, type Destination, readControlTick } from './outputs.ts';

function open(destinations: ReadonlyMap<string, Destination> = new Map()) {
  const appended: (Entry & { readonly topic: string; readonly partition: number })[] = [];
  const outputs = createOutputs({
    task: { subTopology: 'p', partition: 3 },
    epoch: 1,
    controlTopic: 'control.p.v1',
    maxRecordBytes: 2_000,
    producer: { append: (topic, partition, entry) => appended.push({ ...entry, topic, partition }) },
    destinations,
    physicalName: (topic) => `test-${topic}`,
  });
  const write = (topic: Topic, text: string): string =>
    outputs.placeOf(outputs.write({ topic, key: Buffer.from('k'), value: Buffer.from(text), logTimeMs: 7 }));
  const positions = (): string[] =>
    appended.map(({ topic, headers }) => `${topic} ${headers[0]?.[0]}=${headers[0]?.[1]}`);
  return { outputs, appended, write, positions };
}

const digestOf = (...texts: readonly string[]): number =>
  texts.reduce((digest, text) => nextDigest(digest, 7, Buffer.from('k'), Buffer.from(text)), 0);

describe('the outputs of a task', () => {
  test('have dense positions for each destination, chained by digest, and wait for their record', () => {
    const { outputs, appended, write, positions } = open();
    expect([write(first, 'a'), write(second, 'b'), write(first, 'c')]).toEqual([
      'first/0/p-3:1',
      'second/0/p-3:1',
      'first/0/p-3:2',
    ]);
    expect(appended).toEqual([]);
    outputs.flush();
    outputs.flush();
    const position = (sequence: number, previousDigest: number) =>
      formatPosition({ writer: 'p-3', sequence, epoch: 1, previousDigest });
    expect(positions()).toEqual([
      `test-first position=${position(1, 0)}`,
      `test-second position=${position(1, 0)}`,
      `test-first position=${position(2, digestOf('a'))}`,
    ]);
    expect(outputs.destinations.get('first/0')).toEqual({ sequence: 2, digest: digestOf('a', 'c') });
  });

  test('of a record that is taken back were never there', () => {
    const { outputs, appended, write, positions } = open();
    write(first, 'a');
    outputs.flush();
    write(first, 'b');
    write(first, 'c');
    write(second, 'd');
    outputs.rollback();
    outputs.flush();
    expect(appended.length).toBe(1);
    write(first, 'e');
    outputs.flush();
    expect(positions()[1]).toContain(
      formatPosition({ writer: 'p-3', sequence: 2, epoch: 1, previousDigest: digestOf('a') }),
    );
    outputs.tick(9);
    expect(readControlTick(appended.at(-1)?.value ?? null)?.sequences).toEqual({ 'first/0': 2 });
  });

  test('go on after those of an earlier start', () => {
    const saved = new Map([['first/0', { sequence: 41, digest: 5 }]]);
    const { outputs, write } = open(saved);
    expect(write(first, 'a')).toBe('first/0/p-3:42');
    outputs.rollback();
    expect(outputs.destinations.get('first/0')).toEqual({ sequence: 41, digest: 5 });
    // The checkpoint's own stays as it was.
    write(first, 'a');
    expect(saved.get('first/0')).toEqual({ sequence: 41, digest: 5 });
  });

  test('stand before the tick that covers them', () => {
    const { outputs, appended, write } = open();
    write(first, 'a');
    outputs.flush();
    outputs.tick(9);
    expect(appended.map(({ topic, partition, timestampMs }) => [topic, partition, timestampMs])).toEqual([
      ['test-first', 0, 7],
      ['test-control.p.v1', 0, 9],
    ]);
    expect(readControlTick(appended[1]?.value ?? null)).toEqual({
      writer: 'p-3',
      epoch: 1,
      logTimeMs: 9,
      sequences: { 'first/0': 1 },
    });
  });

  test('have other headers after the position', () => {
    const { outputs, appended } = open();
    const headers = [['code', Buffer.from('X')]] as const;
    outputs.write({ topic: first, key: Buffer.from('k'), value: Buffer.from('v'), logTimeMs: 7, headers });
    outputs.flush();
    expect(appended[0]?.headers.map(([name]) => name)).toEqual(['position', 'code']);
  });

  test('are refused when Kafka would refuse them, before they have a position', () => {
    const { outputs } = open();
    const check = (bytes: number) => outputs.checkSize(first, Buffer.alloc(10), Buffer.alloc(bytes));
    expect(() => check(966)).not.toThrow();
    let error: unknown;
    try {
      check(967);
    } catch (caught) {
      error = caught;
    }
    expect(isPipelineError(error, 'VALUE_TOO_LARGE')).toBe(true);
    expect(outputs.destinations.size).toBe(0);
  });
});

test.each([null, '', '{', '[]', '{}', '{"writer":"p-1","epoch":1,"logTimeMs":"5","sequences":{}}'])(
  'what is no tick proves nothing: %s',
  (text) => {
    expect(readControlTick(text === null ? null : Buffer.from(text))).toBeNull();
  },
);
