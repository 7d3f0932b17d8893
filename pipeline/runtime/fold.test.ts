import { describe, expect, test } from 'vitest';
import { PipelineError } from '#pipeline/errors.ts';
import { defineProcessor, type ErrorPolicy, keyed } from '#pipeline/processor.ts';
import { aPrice, first, next, openFold, pass, raw, second, type stores } from '#pipeline/testing/fold-run.ts';
import type { price } from '#schemas/price.ts';
import type { Topic } from '#schemas/topics.ts';
import { FoldFailure } from './fold.ts';
import { partitionOf } from './partitioner.ts';

describe('a fold', () => {
  test('writes outputs at the log time of their input, with dense sequences', () => {
    const run = openFold([pass]);
    run.feed(aPrice('a'));
    run.feed(aPrice('b'));
    expect(run.written()).toEqual(['first 1', 'first 2']);
    expect(run.times()).toEqual([100, 101]);
  });

  test('a processor that throws leaves no writes and no outputs, and a dead letter with the bytes', async () => {
    const run = openFold([pass]);
    run.feed(aPrice('bad'));
    run.feed(aPrice('good'));
    expect(run.values()).toEqual(['good:1']);
    expect(run.letters()).toEqual([
      {
        id: 'dlq:raw/0/0:pass',
        eventTimeMs: 100,
        place: 'raw/0/0',
        component: 'pass',
        code: 'LOGIC_FAILED',
        reason: 'cannot read this',
        key: 'ETH',
        body: run.encode(aPrice('bad')),
      },
    ]);
    expect(await run.metrics.total('dead_letters_total', { component: 'pass', code: 'LOGIC_FAILED' })).toBe(
      1,
    );
  });

  test('passes a record on to the next processor of the task, with its place and log time', () => {
    const run = openFold([pass, next]);
    run.feed(aPrice('a'));
    expect(run.written()).toEqual(['first 1', 'second 1']);
    expect(run.values()).toEqual(['a:1', 'a:1 of first/0/fused-0:1 at 100']);
  });

  test('a later processor that throws takes nothing back from the ones before it', () => {
    const run = openFold([pass, next]);
    run.feed(aPrice('a', 'refuse'));
    run.feed(aPrice('b'));
    expect(run.values()).toEqual(['a:1', 'b:2', 'b:2 of first/0/fused-0:2 at 101']);
    expect(run.letters()).toMatchObject([
      { place: 'first/0/fused-0:1', component: 'next', reason: 'not this one' },
    ]);
    expect(run.seen('next', 'a:1')).toBeUndefined();
    expect(run.seen('next', 'b:2')).toBe(true);
    expect(run.seen('pass', 'count')).toBe(2);
  });

  test('an output that is too large goes aside before it is given a sequence', () => {
    const run = openFold([pass], 3_000);
    run.feed(aPrice('a', 'x'.repeat(2_500)));
    run.feed(aPrice('b'));
    expect(run.letters()).toMatchObject([{ code: 'VALUE_TOO_LARGE', component: 'pass' }]);
    expect(run.written()).toEqual(['dlq 1', 'first 1']);
    expect(run.values()).toEqual(['b:1']);
  });

  test('bytes that are no value go aside whole', () => {
    const run = openFold([pass]);
    run.feedBytes(Buffer.from('not Avro'));
    expect(run.letters()).toMatchObject([
      { code: 'VALUE_UNREADABLE', component: 'fused', body: Buffer.from('not Avro') },
    ]);
  });

  test('a tombstone reaches the processor as null', () => {
    const run = openFold([pass]);
    run.feedBytes(null);
    expect(run.seen('pass', 'count')).toBe(1);
    expect(run.written()).toEqual([]);
  });

  test('part of a record can be put aside while the rest goes on', async () => {
    const partial = defineProcessor({
      ...pass,
      inputs: [
        keyed<typeof price, typeof stores>(raw, ({ value }, context) => {
          context.reject({
            part: 'tx/1',
            code: 'VALUE_UNREADABLE',
            reason: 'no amount',
            body: Buffer.from('{}'),
          });
          context.duplicate();
          if (value !== null) context.emit(first, 'ETH', value);
        }),
      ],
    });
    const run = openFold([partial]);
    run.feed(aPrice('a'));
    expect(run.values()).toEqual(['a']);
    expect(run.letters()).toMatchObject([
      { place: 'raw/0/0#tx/1', reason: 'no amount', body: Buffer.from('{}') },
    ]);
    expect(await run.metrics.total('duplicates_dropped_total', { where: 'pass' })).toBe(1);
  });

  test.each([
    [
      'an undeclared output',
      (context: { emit(...args: unknown[]): void }) => context.emit(second, 'ETH', aPrice('a')),
    ],
    [
      'an error that means stop',
      () => {
        throw new PipelineError('INVARIANT_BROKEN', 'a bug');
      },
    ],
  ])('stops at %s instead of putting the record aside', (_, work) => {
    const broken = defineProcessor({
      ...pass,
      inputs: [keyed<typeof price, typeof stores>(raw, (_record, context) => work(context as never))],
    });
    const run = openFold([broken]);
    expect(() => run.feed(aPrice('a'))).toThrow(PipelineError);
    expect(run.letters()).toEqual([]);
  });

  test('a dead letter says in its headers what it is about, after its position', () => {
    const run = openFold([pass]);
    run.feed(aPrice('bad'));
    expect(run.headers()).toEqual([
      ['position=fused-0:1;1;00000000', 'place=raw/0/0', 'component=pass', 'code=LOGIC_FAILED'],
    ]);
  });

  test('what a handler rejected and counted before it threw is forgotten with the rest', async () => {
    const rejecting = defineProcessor({
      ...pass,
      inputs: [
        keyed<typeof price, typeof stores>(raw, (_, context) => {
          context.reject({ part: 'tx/1', code: 'VALUE_UNREADABLE', reason: 'no', body: Buffer.alloc(0) });
          context.duplicate();
          throw new Error('after that');
        }),
      ],
    });
    const run = openFold([rejecting]);
    run.feed(aPrice('a'));
    expect(run.letters().map(({ place }) => place)).toEqual(['raw/0/0']);
    expect(await run.metrics.total('duplicates_dropped_total')).toBe(0);
  });

  test('each handler of a topic is whole by itself', () => {
    const failing = defineProcessor({
      name: 'fails',
      summary: 'fails',
      inputs: [
        keyed(first, () => {
          throw new Error('always');
        }),
      ],
      outputs: [],
    });
    const run = openFold([pass, failing, next]);
    run.feed(aPrice('a'));
    expect(run.values()).toEqual(['a:1', 'a:1 of first/0/fused-0:1 at 100']);
    expect(run.letters()).toMatchObject([{ component: 'fails', place: 'first/0/fused-0:1' }]);
  });

  test('an output of another partition than its task stops a processor that claims to keep keys', () => {
    const wide = (one: Topic<typeof price>) => ({ ...one, partitions: 2 });
    const wideFirst = wide(first);
    const wanders = defineProcessor({
      name: 'wanders',
      summary: 'writes under the source as key',
      inputs: [
        keyed(wide(raw), ({ value }, { emit }) => {
          if (value !== null) emit(wideFirst, value.source, value);
        }),
      ],
      outputs: [wideFirst],
      keepsKey: true,
    });
    const partitions = ['a', 'b', 'c', 'd'].map((key) => partitionOf(Buffer.from(key), 2));
    const run = openFold([wanders]);
    const [own, other] = [partitions.indexOf(0), partitions.indexOf(1)].map((index) => 'abcd'[index] ?? '');
    run.feed(aPrice('x', own));
    expect(() => run.feed(aPrice('x', other))).toThrow('wanders: declares that it keeps keys');
    expect(run.written()).toEqual(['first 1']);
  });
});

describe('a failure', () => {
  const failing = (onError: Partial<ErrorPolicy>, work: () => void = () => {}) =>
    defineProcessor({
      ...pass,
      onError,
      inputs: [
        keyed<typeof price, typeof stores>(raw, ({ value }, context) => {
          context.stores.seen.put('was here', true);
          if (value !== null) context.emit(first, 'ETH', value);
          work();
        }),
      ],
    });
  const failureOf = (work: () => void): FoldFailure | null => {
    try {
      work();
      return null;
    } catch (error) {
      if (error instanceof FoldFailure) return error;
      throw error;
    }
  };
  const throwing = () => {
    throw new Error('no');
  };

  test.each(['stop', 'fail'] as const)('of the logic, the bytes or an output can mean: %s', (mode) => {
    const logic = openFold([failing({ logic: mode }, throwing)]);
    expect(failureOf(() => logic.feed(aPrice('a')))).toMatchObject({ mode, place: 'raw/0/0' });
    const decode = openFold([failing({ decode: mode })]);
    expect(failureOf(() => decode.feedBytes(Buffer.from('?')))).toMatchObject({ mode, place: 'raw/0/0' });
    const output = openFold([failing({ output: mode })], 3_000);
    expect(failureOf(() => output.feed(aPrice('a', 'x'.repeat(2_500))))).toMatchObject({ mode });
    for (const run of [logic, decode, output]) {
      expect([run.written(), run.letters(), run.seen('pass', 'was here')]).toEqual([[], [], undefined]);
    }
  });

  test('of one kind does not fall under the rule of another', () => {
    const run = openFold([failing({ decode: 'stop', output: 'fail' }, throwing)]);
    run.feed(aPrice('a'));
    expect(run.letters()).toMatchObject([{ code: 'LOGIC_FAILED' }]);
  });

  test('of one record says nothing about the next: a wrong clock after a large output is a failure of the logic', () => {
    const run = openFold([failing({ logic: 'stop' })], 3_000);
    run.feed(aPrice('a', 'x'.repeat(2_500)));
    expect(run.letters()).toMatchObject([{ code: 'VALUE_TOO_LARGE' }]);
    const ahead = { ...aPrice('b'), eventTimeMs: 10 * 3_600_000 };
    expect(failureOf(() => run.feed(ahead))).toMatchObject({ mode: 'stop', place: 'raw/0/1' });
  });

  test('of a record that two processors read follows the stricter of them', () => {
    const mild = { ...failing({ decode: 'stop' }), name: 'mild' };
    const strict = { ...failing({ decode: 'fail' }), name: 'strict', outputs: [] };
    const both = { ...strict, inputs: [keyed(first, () => {}), ...mild.inputs] };
    const run = openFold([mild, both]);
    expect(failureOf(() => run.feedBytes(Buffer.from('?')))?.mode).toBe('fail');
  });

  test('further down takes back what the processors before it did, when it means stop', () => {
    const stopping = { ...next, onError: { ...next.onError, logic: 'stop' as const } };
    const run = openFold([pass, stopping]);
    expect(failureOf(() => run.feed(aPrice('a', 'refuse')))?.place).toBe('first/0/fused-0:1');
    expect([run.written(), run.seen('pass', 'count')]).toEqual([[], undefined]);
    run.feed(aPrice('b'));
    expect(run.written()).toEqual(['first 1', 'second 1']);
  });
});
