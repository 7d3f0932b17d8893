import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LAST_KEY, type WriteOperation } from './backend.ts';
import { createEntries } from './entries.ts';
import { createMemoryBackend } from './memory.ts';
import type { Journal } from './segment-cells.ts';
import { type Json, jsonCodec, type Segment } from './store.ts';

const PREFIX = 'p.s\u001f';

/** `isTold`: the entries are told what is stored. */
function open(recentValues: number, texts = new Map<string, string>(), isTold = false) {
  const journal: Journal = [];
  const backend = createMemoryBackend(texts);
  const reads: string[] = [];
  const entries = createEntries<Json>({
    prefix: PREFIX,
    codec: jsonCodec(),
    backend: {
      get: (key) => {
        reads.push(key);
        return backend.get(key);
      },
    },
    journal,
    recentValues,
  });
  if (isTold) {
    const last = backend.scanNow('', LAST_KEY).at(-1)?.[0];
    entries.foundStored(last === undefined ? null : last.slice(PREFIX.length));
  }
  const rollback = (mark: number): void => {
    while (journal.length > mark) journal.pop()?.();
  };
  return { entries, journal, backend, reads, rollback, texts };
}

/** The first character. */
const headOf = (key: string): string => String.fromCodePoint(key.codePointAt(0) ?? 0);

type Command =
  | { readonly kind: 'put'; readonly key: string; readonly value: Json }
  | { readonly kind: 'delete' | 'get'; readonly key: string; readonly isOnce: boolean }
  | { readonly kind: 'rollback'; readonly mark: number }
  | { readonly kind: 'mark' | 'commit' | 'capture' | 'settle' | 'reopen' };

// More keys than the cache holds, prefixes of each other, separators, not ASCII.
const keys = fc.constantFrom('', 'a', 'ab', 'b', 'a\u001fb', 'é', '\u{1f40b}', '\u{10ffff}');
// What JSON keeps: no -0, which a restart would read as 0.
const values = fc.jsonValue({ maxDepth: 1 }).map((value) => JSON.parse(JSON.stringify(value)) as Json);
const commands: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('put' as const), key: keys, value: values }) },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constantFrom('delete' as const, 'get' as const, 'get' as const, 'get' as const),
      key: keys,
      isOnce: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rollback' as const), mark: fc.nat(5) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'mark' as const,
        'commit' as const,
        'commit' as const,
        'capture' as const,
        'settle' as const,
        'reopen' as const,
      ),
    }),
  },
);

/**
 * Plays the commands on entries and on plain maps; every read, and every checkpoint, must agree. `inSegments`: keys through
 * the segments of their first character, and entries that are told what is stored.
 */
function play(recentValues: number, script: readonly Command[], inSegments: boolean): void {
  const openStore = (texts = new Map<string, string>()) => {
    const opened = open(recentValues, texts, inSegments);
    const { entries } = opened;
    const at = (key: string): Segment<Json> =>
      inSegments && key !== '' ? entries.segment(headOf(key)) : entries;
    const own = (key: string): string => (inSegments ? key.slice(headOf(key).length) : key);
    return {
      ...opened,
      get: (key: string) => at(key).get(own(key)),
      peek: (key: string) => at(key).peek(own(key)),
      put: (key: string, value: Json) => at(key).put(own(key), value),
      delete: (key: string) => at(key).delete(own(key)),
    };
  };
  let store = openStore();
  let current = new Map<string, Json>();
  let marks: { readonly at: number; readonly contents: Map<string, Json> }[] = [
    { at: 0, contents: new Map() },
  ];
  let captured: { operations: Iterable<WriteOperation> } | null = null;
  let atCapture = new Map<string, Json>();
  let durable = new Map<string, Json>();
  const commit = (): void => {
    store.journal.length = 0;
    marks = [{ at: 0, contents: new Map(current) }];
  };
  for (const command of script) {
    switch (command.kind) {
      case 'put':
        store.put(command.key, command.value);
        current.set(command.key, command.value);
        break;
      case 'delete':
        store.delete(command.key);
        current.delete(command.key);
        break;
      case 'get':
        if (command.isOnce) expect(store.peek(command.key)).toEqual(current.get(command.key));
        else expect(store.get(command.key)).toEqual(current.get(command.key));
        break;
      case 'mark':
        marks.push({ at: store.journal.length, contents: new Map(current) });
        break;
      case 'rollback': {
        const { at, contents } = marks[command.mark % marks.length] ?? { at: 0, contents: new Map() };
        marks = marks.slice(0, (command.mark % marks.length) + 1);
        store.rollback(at);
        current = new Map(contents);
        break;
      }
      case 'commit':
        commit();
        break;
      case 'capture':
        if (captured !== null) break;
        // Between two records.
        commit();
        captured = { operations: store.entries.capture() };
        atCapture = new Map(current);
        break;
      case 'settle':
        if (captured === null) break;
        store.backend.writeNow(captured.operations);
        store.entries.settled();
        captured = null;
        durable = atCapture;
        expect(new Map(store.texts)).toEqual(
          new Map([...durable].map(([key, value]) => [PREFIX + key, JSON.stringify(value)])),
        );
        break;
      case 'reopen':
        // A crash: what no checkpoint wrote is gone.
        store = openStore(store.texts);
        current = new Map(durable);
        captured = null;
        commit();
        break;
    }
  }
  for (const key of ['', 'a', 'ab', 'b', 'a\u001fb', 'é', '\u{1f40b}', '\u{10ffff}'])
    expect(store.get(key)).toEqual(current.get(key));
}

describe('the entries of a store', () => {
  test.each([
    [1, false],
    [2, false],
    [3, true],
    [1, true],
    [1_000, true],
  ])(
    'read like a map through checkpoints, crashes and rollbacks to marks, with %i recent values, in segments: %s',
    (recentValues, inSegments) => {
      fc.assert(
        fc.property(fc.array(commands, { maxLength: 80 }), (script) =>
          play(recentValues, script, inSegments),
        ),
        { numRuns: 300 },
      );
    },
  );

  test('what a checkpoint writes does not depend on how many values are kept', () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 60 }), (script) => {
        const writes = [1, 2, 1_000].map((recentValues) => {
          const { entries } = open(recentValues);
          for (const command of script) {
            if (command.kind === 'put') entries.put(command.key, command.value);
            else if (command.kind === 'delete') entries.delete(command.key);
            else if (command.kind === 'get') entries.get(command.key);
          }
          return [...entries.capture()];
        });
        expect(writes[1]).toEqual(writes[0]);
        expect(writes[2]).toEqual(writes[0]);
      }),
    );
  });

  test('asks the backend once for a value that stays recent, also when there is none', () => {
    const { entries, reads, texts } = open(4);
    texts.set(`${PREFIX}a`, '1');
    expect([entries.get('a'), entries.get('a'), entries.get('b'), entries.get('b')]).toEqual([
      1,
      1,
      undefined,
      undefined,
    ]);
    expect(reads).toEqual([`${PREFIX}a`, `${PREFIX}b`]);
  });

  test('a segment behind all that is stored is known to be empty, and what it forgot is asked for', () => {
    const { entries, reads, texts } = open(2);
    texts.set(`${PREFIX}b:1`, '1');
    entries.foundStored('b:1');
    expect([entries.segment('b:').get('1'), entries.segment('c:').get('1')]).toEqual([1, undefined]);
    expect(reads).toEqual([`${PREFIX}b:1`]);
    const segment = entries.segment('c:');
    for (let n = 0; n < 10; n += 1) segment.put(`${n}`, n);
    for (const { key, value } of entries.capture()) texts.set(key, value ?? 'deleted');
    entries.settled();
    for (let n = 0; n < 10; n += 1) expect(segment.get(`${n}`)).toBe(n);
    expect(reads.length).toBeGreaterThan(1);
    expect(reads.slice(1).every((key) => key.startsWith(`${PREFIX}c:`))).toBe(true);
  });

  test('what is looked at once takes nobody its place', () => {
    const { entries, reads } = open(1);
    entries.get('often');
    for (let n = 0; n < 9; n += 1) entries.peek(`once ${n}`);
    entries.get('often');
    expect(reads.filter((key) => key.endsWith('often')).length).toBe(1);
  });

  test('a value that is used is kept while others are forgotten', () => {
    const { entries, reads } = open(2);
    for (let count = 0; count < 20; count += 1) {
      entries.get('often');
      entries.get(`once ${count}`);
    }
    expect(reads.filter((key) => key.endsWith('often')).length).toBe(1);
  });

  test('a null is a value, not an absence', () => {
    const { entries, texts } = open(1);
    entries.put('a', null);
    entries.get('other');
    entries.get('another');
    expect(entries.get('a')).toBeNull();
    for (const { key, value } of entries.capture()) texts.set(key, value ?? 'deleted');
    expect(texts.get(`${PREFIX}a`)).toBe('null');
  });

  test('halves of surrogate pairs are one key in memory and on the disk', () => {
    const { entries } = open(10);
    entries.put('\ud800', 1);
    expect(entries.get('\udfff')).toBe(1);
    expect([...entries.capture()]).toEqual([{ key: `${PREFIX}\ufffd`, value: '1' }]);
  });

  test('names the range below the greatest key that was dropped, once', () => {
    const { entries } = open(10);
    expect(entries.takeDropped()).toEqual([]);
    entries.dropBelow('b');
    entries.dropBelow('d');
    entries.dropBelow('c');
    expect(entries.takeDropped()).toEqual([[PREFIX, `${PREFIX}d`]]);
    expect(entries.takeDropped()).toEqual([]);
  });

  test('a handler that throws after it dropped a range loses nothing that it still needs', () => {
    const { entries, journal, rollback } = open(10);
    entries.dropBelow('b');
    journal.length = 0;
    entries.dropBelow('d');
    rollback(0);
    expect(entries.takeDropped()).toEqual([[PREFIX, `${PREFIX}b`]]);
    entries.dropBelow('e');
    rollback(0);
    expect(entries.takeDropped()).toEqual([]);
  });

  test('large values count as several, so that what is kept of them is bounded', () => {
    const kept = (chars: number): number => {
      const { entries, reads } = open(80);
      entries.foundStored(null);
      for (let key = 0; key < 200; key++) {
        entries.put(`k${key}`, 'x'.repeat(chars));
        for (const _ of entries.capture());
        entries.settled();
      }
      for (let key = 0; key < 200; key++) entries.peek(`k${key}`);
      return 200 - reads.length;
    };
    expect(kept(10)).toBeGreaterThanOrEqual(80);
    expect(kept(64 * 4)).toBeLessThanOrEqual(2 * 16);
    // However large they are, some stay.
    expect(kept(64 * 1_000)).toBeGreaterThanOrEqual(8);
  });
});
