import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { encodeGroup } from '#pipeline/state/changelog.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';
import { Disk, restoreDisk } from './disk.ts';

test('holds entries as the memory backend does, in the order of UTF-8 bytes', () => {
  const keys = fc.constantFrom('', 'a', 'ab', 'b', 'é', '\uffee', '🐳', 'a\u0000');
  const operations = fc.array(fc.record({ key: keys, value: fc.option(fc.constantFrom('1', '2')) }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(fc.array(operations, { maxLength: 4 }), keys, keys, (batches, first, end) => {
      const disk = new Disk();
      const backend = createMemoryBackend();
      for (const batch of batches) {
        disk.write(batch);
        backend.writeNow(batch);
      }
      const copy = new Disk(disk);
      expect(disk.scan(first, end)).toEqual(backend.scanNow(first, end));
      const left = backend.scanNow('', '\u{10ffff}');
      expect(copy.scan()).toEqual(left);
      const inRange = new Set(disk.scan(first, end).map(([key]) => key));
      disk.clear(first, end);
      expect(disk.scan()).toEqual(left.filter(([key]) => !inRange.has(key)));
      expect(copy.scan()).toEqual(left);
    }),
  );
});

describe('a restore', () => {
  const meta = (step: number) => JSON.stringify({ fingerprint: 'f', step });
  const groups = (...steps: readonly (readonly [from: number, to: number])[]): KafkaRecord[] =>
    steps
      .flatMap(([from, to], index) => [
        ...encodeGroup(
          { instance: 'i', number: index + 1, from, to, kind: 'delta' },
          [{ key: `k${to}`, value: `v${to}` }],
          { meta: meta(to), logTimeMs: 1, maxRecordBytes: 100 },
        ),
      ])
      .map((entry, offset) => ({ ...entry, offset }));
  const restore = (disk: Disk, records: readonly KafkaRecord[]) =>
    restoreDisk({ disk, records, place: 'changelog/0', fingerprint: 'f' });

  test('applies the groups that follow, up to the last complete one', () => {
    const disk = new Disk();
    const records = groups([0, 2], [2, 5], [5, 6]);
    restore(disk, records.slice(0, -1));
    expect(disk.scan()).toEqual([
      [META_KEY, meta(5)],
      ['k2', 'v2'],
      ['k5', 'v5'],
    ]);
  });

  test('refuses groups with a hole', () => {
    expect(() => restore(new Disk(), groups([0, 2], [3, 5]))).toThrow(
      expect.toSatisfy((error) => isPipelineError(error, 'CHANGELOG_BROKEN')),
    );
  });
});
