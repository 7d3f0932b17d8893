import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { Entry, KafkaRecord } from '#pipeline/kafka/types.ts';
import type { WriteOperation } from './backend.ts';
import {
  applicable,
  encodeGroup,
  type Group,
  GroupAssembler,
  type GroupName,
  operationsOf,
  withMeta,
} from './changelog.ts';
import { countPacked } from './packed.ts';
import { META_KEY } from './task-state.ts';

const NAME: GroupName = { instance: 'one', number: 1, from: 0, to: 5, kind: 'delta' };
const put = (key: string, value: string | null): WriteOperation => ({ key, value });
const encode = (
  name: Partial<GroupName>,
  operations: readonly WriteOperation[],
  maxRecordBytes = 40,
): readonly Entry[] => {
  const group = { ...NAME, ...name };
  return [...encodeGroup(group, operations, { meta: `meta of ${group.to}`, logTimeMs: 7, maxRecordBytes })];
};
const asRecords = (entries: readonly Entry[], firstOffset = 0): readonly KafkaRecord[] =>
  entries.map((entry, index) => ({ ...entry, offset: firstOffset + index }));

/** Groups in the order in which they are complete. */
const assemble = (entries: readonly Entry[]): readonly Group[] => {
  const groups = new GroupAssembler();
  return asRecords(entries).flatMap((record) => groups.add(record, `c/0/${record.offset}`) ?? []);
};
/** The same with the writes as text. */
const assembleTexts = (entries: readonly Entry[]) =>
  assemble(entries).map(({ parts, count, ...group }) => {
    const operations = operationsOf({ parts });
    expect(count).toBe(operations.length);
    return { ...group, operations };
  });

const FIVE = Array.from({ length: 5 }, (_, index) => put(`key ${index}`, 'x'.repeat(10)));

describe('a group of the changelog', () => {
  test('comes back as it was written, in records of a bounded size', () => {
    const operations = [...FIVE, put('gone', null), put('quoted "\u001f\n', '["\u{1f40b}"]')];
    const entries = encode({}, operations);
    expect(entries.length).toBeGreaterThan(4);
    for (const { value, timestampMs, key } of entries) {
      expect(value?.length).toBeLessThanOrEqual(45);
      expect([timestampMs, key]).toEqual([7, null]);
    }
    expect(assembleTexts(entries)).toEqual([{ ...NAME, operations, meta: 'meta of 5', offset: 0 }]);
  });

  test('takes as many entries into a record as fit, and a larger one alone', () => {
    const small = (key: string) => put(key, 'x'.repeat(11));
    const count = (operations: readonly WriteOperation[], maxRecordBytes: number) =>
      encode({}, operations, maxRecordBytes).map(({ value, headers }) =>
        headers.length === 2 ? 'end' : countPacked(value ?? Buffer.alloc(0)),
      );
    // Eight bytes of lengths, one of the key, eleven of the value.
    expect(count([small('a'), small('b'), small('c')], 40)).toEqual([2, 1, 'end']);
    expect(count([small('a'), small('b'), small('c')], 39)).toEqual([1, 1, 1, 'end']);
    expect(count([small('a'), put('b', 'x'.repeat(1_000)), small('c')], 40)).toEqual([1, 1, 1, 'end']);
  });

  test('without a write is its end marker alone', () => {
    const entries = encode({}, []);
    expect(entries.length).toBe(1);
    expect(assembleTexts(entries)).toEqual([{ ...NAME, operations: [], meta: 'meta of 5', offset: 0 }]);
  });

  test('does not exist before every one of its records is there', () => {
    const entries = encode({}, FIVE);
    for (let missing = 0; missing < entries.length; missing += 1) {
      const groups = new GroupAssembler();
      for (const record of asRecords(entries.toSpliced(missing, 1)))
        expect(groups.add(record, 'place')).toBeNull();
      expect(groups.highest).toBe(0);
    }
  });

  test('of a copy is kept apart, record by record', () => {
    const one = encode({}, FIVE);
    const two = encode({ instance: 'two', to: 4 }, FIVE.slice(2));
    const mixed = [one[0], two[0], two[1], one[1], ...two.slice(2), ...one.slice(2)] as Entry[];
    expect(
      assembleTexts(mixed).map(({ instance, to, offset, operations }) => [instance, to, offset, operations]),
    ).toEqual([
      ['two', 4, 1, FIVE.slice(2)],
      ['one', 5, 0, FIVE],
    ]);
  });

  test('counts once, whatever of it is sent again and when', () => {
    const first = encode({}, FIVE);
    const second = encode({ number: 2, from: 5, to: 9 }, FIVE);
    const again = [
      ...first.slice(0, 2),
      ...first,
      ...first.slice(1),
      ...second.slice(0, 1),
      ...first,
      ...second,
      ...second,
    ];
    expect(assembleTexts(again).map(({ to, operations }) => [to, operations])).toEqual([
      [5, FIVE],
      [9, FIVE],
    ]);
  });

  test('of another number after one that was never finished counts', () => {
    const groups = assemble([...encode({}, FIVE).slice(0, 2), ...encode({ instance: 'two' }, FIVE)]);
    expect(groups.map(({ instance }) => instance)).toEqual(['two']);
  });

  test('writes its contents last', () => {
    const [group] = assemble(encode({}, [put('a', '1')]));
    expect(group && withMeta(group)).toEqual([put('a', '1'), put(META_KEY, 'meta of 5')]);
  });

  test.each([
    ['no header', []],
    ['another form', [['group', Buffer.from('one;1;0;5;delta')]]],
    [
      'a count that is none',
      [
        ['group', Buffer.from('one;1;0;5;delta;0')],
        ['end', Buffer.from('x')],
      ],
    ],
    ['a value that is cut', [['group', Buffer.from('one;1;0;5;delta;0')]]],
  ] as const)('is refused with %s', (_, headers) => {
    const record: KafkaRecord = {
      offset: 3,
      timestampMs: 0,
      key: null,
      value: Buffer.from('nothing packed'),
      headers,
    };
    let error: unknown;
    try {
      new GroupAssembler().add(record, 'changelog.p.v1/0/3');
    } catch (caught) {
      error = caught;
    }
    expect(isPipelineError(error, 'CHANGELOG_BROKEN')).toBe(true);
    expect(String(error)).toContain('changelog.p.v1/0/3: expected');
  });

  test('that began before a deletion and is not complete would be cut by it', () => {
    const groups = new GroupAssembler();
    expect(groups.firstOpen).toBeNull();
    const open = encode({ to: 8 }, FIVE);
    const [head, ...rest] = asRecords(open, 10);
    const other = asRecords(encode({ instance: 'two', to: 99 }, FIVE).slice(0, 1), 20);
    for (const record of [head as KafkaRecord, ...other]) groups.add(record, 'place');
    expect(groups.firstOpen).toBe(10);
    expect([groups.highestCut(10), groups.highestCut(11), groups.highestCut(21)]).toEqual([0, 8, 99]);
    for (const record of rest) groups.add(record, 'place');
    expect(groups.highestCut(11)).toBe(0);
    expect(groups.firstOpen).toBe(20);
  });
});

describe('a state at a step', () => {
  const delta = (from: number, to: number): GroupName => ({ ...NAME, from, to });
  const snapshot = (to: number): GroupName => ({ ...NAME, from: to, to, kind: 'snapshot' });
  test.each([
    ['takes a delta that begins at it', 5, delta(5, 8), 'apply'],
    ['takes a delta that began before it and leads on', 5, delta(3, 8), 'apply'],
    ['passes over a delta that ends at it', 5, delta(3, 5), null],
    ['passes over a delta of a slow copy', 5, delta(1, 3), null],
    ['passes over a delta that begins beyond it', 5, delta(6, 8), null],
    ['is replaced by a higher snapshot', 5, snapshot(6), 'replace'],
    ['stays before a snapshot of its own step', 5, snapshot(5), null],
    ['stays before a lower snapshot', 5, snapshot(2), null],
  ] as const)('%s', (_, step, group, expected) => {
    expect(applicable(group, step)).toBe(expected);
  });
});

/** What step `n` of the fold writes. */
const writeOf = (step: number): WriteOperation => ({
  key: `k${(step * 7) % 5}`,
  value: step % 6 === 0 ? null : String(step),
});
const stateAt = (step: number): ReadonlyMap<string, string> => {
  const state = new Map<string, string>();
  for (let at = 1; at <= step; at += 1) apply(state, [writeOf(at)]);
  return state;
};
function apply(state: Map<string, string>, operations: readonly WriteOperation[]): void {
  for (const { key, value } of operations) {
    if (value === null) state.delete(key);
    else state.set(key, value);
  }
}

/** What a restore from the start would have. */
function restored(log: readonly Entry[]): { readonly step: number; readonly state: Map<string, string> } {
  let step = 0;
  const state = new Map<string, string>();
  for (const group of assemble(log)) {
    const how = applicable(group, step);
    if (how === null) continue;
    if (how === 'replace') state.clear();
    apply(state, operationsOf(group));
    step = group.to;
  }
  return { step, state };
}

interface Writer {
  readonly instance: string;
  /** Of its last acknowledged group. */
  step: number;
  number: number;
  waiting: Entry[];
  sent: Entry[];
}

type Event =
  | { readonly kind: 'start' | 'die'; readonly writer: number }
  | { readonly kind: 'snapshot'; readonly writer: number }
  | { readonly kind: 'checkpoint' | 'append' | 'resend'; readonly writer: number; readonly count: number };

const writer = fc.nat(2);
const events: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('start' as const, 'die' as const), writer }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('snapshot' as const), writer }) },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constantFrom('checkpoint' as const, 'append' as const, 'append' as const, 'resend' as const),
      writer,
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
);

test('any interleaving of copies, cut anywhere, restores the highest step that one of them had, exactly', () => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 80 }), (script) => {
      const log: Entry[] = [];
      const writers: (Writer | null)[] = [null, null, null];
      let starts = 0;
      for (const event of script) {
        let one = writers[event.writer] ?? null;
        if (event.kind === 'start' || one === null) {
          // A start takes the state that the log has, and other copies may go on meanwhile.
          starts += 1;
          one = { instance: `w${starts}`, step: restored(log).step, number: 0, waiting: [], sent: [] };
          writers[event.writer] = one;
        }
        switch (event.kind) {
          case 'start':
            break;
          case 'die':
            writers[event.writer] = null;
            break;
          case 'snapshot':
          case 'checkpoint': {
            // One group at a time: the last must be acknowledged.
            if (one.waiting.length > 0) break;
            const { instance, step: from } = one;
            one.number += 1;
            const name = { instance, number: one.number, from };
            if (event.kind === 'snapshot') {
              const all = Array.from(stateAt(from), ([key, value]) => ({ key, value }));
              one.waiting = [...encode({ ...name, to: from, kind: 'snapshot' }, all, 20)];
            } else {
              const to = from + event.count;
              const writes = new Map<string, WriteOperation>();
              for (let step = from + 1; step <= to; step += 1) writes.set(writeOf(step).key, writeOf(step));
              one.waiting = [...encode({ ...name, to }, [...writes.values()], 20)];
              one.step = to;
            }
            one.sent = [];
            break;
          }
          case 'append': {
            const sent = one.waiting.splice(0, event.count);
            one.sent.push(...sent);
            log.push(...sent);
            break;
          }
          case 'resend':
            log.push(...one.sent.slice(-event.count));
            break;
        }
      }
      for (let end = 0; end <= log.length; end += 1) {
        const prefix = log.slice(0, end);
        const { step, state } = restored(prefix);
        expect(step).toBe(Math.max(0, ...assemble(prefix).map(({ to }) => to)));
        expect(state).toEqual(stateAt(step));
      }
    }),
    { numRuns: 200 },
  );
});
