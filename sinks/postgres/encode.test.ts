import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copyCell, copyChunks, copyLine, jsonCell, plainCell, timeCell } from './encode.ts';

/** Reads a line as PostgreSQL does (manual, "COPY", "Text Format"). */
function readLine(line: string): (string | null)[] {
  const escapes: Record<string, string> = { t: '\t', n: '\n', r: '\r', '\\': '\\' };
  return line
    .slice(0, -1)
    .split('\t')
    .map((cell) =>
      cell === '\\N' ? null : cell.replaceAll(/\\(.)/g, (_all, letter) => escapes[letter] ?? letter),
    );
}

describe('text of COPY', () => {
  test.each([
    [null, '\\N'],
    ['\\N', '\\\\N'],
    ['\\.', '\\\\.'],
    ['a\tb\nc\rd', 'a\\tb\\nc\\rd'],
    ['nul\u0000', 'nul\uFFFD'],
    ['', ''],
  ])('writes %j as %j', (cell, expected) => expect(copyCell(cell)).toBe(expected));

  test('reads back what was written, line by line', () => {
    const cell = fc.option(
      fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[\\tnrN.\t\n\r\0]*$/)),
    );
    fc.assert(
      fc.property(fc.array(cell, { minLength: 1 }), (cells) => {
        const line = copyLine(cells);
        expect(line.indexOf('\n')).toBe(line.length - 1);
        expect(readLine(line)).toEqual(cells.map((text) => text?.replaceAll('\u0000', '\uFFFD') ?? null));
      }),
    );
  });

  test('gathers rows into chunks of 64 KB or more, without losing one', () => {
    const rows = Array.from({ length: 3_000 }, (_, index) => [String(index), 'x'.repeat(90)]);
    const chunks = [...copyChunks(rows)];
    expect(chunks.slice(0, -1).every((chunk) => chunk.length >= 65_536)).toBe(true);
    expect(Buffer.concat(chunks).toString()).toBe(rows.map((row) => copyLine(row)).join(''));
  });
});

describe('cells', () => {
  test('writes exact integers in full and unknown as null', () => {
    expect(plainCell(2n ** 256n - 1n)).toHaveLength(78);
    expect(plainCell(null)).toBeNull();
    expect(plainCell(-0.25)).toBe('-0.25');
  });

  test('writes times that ISO 8601 cannot as infinity', () => {
    expect(timeCell(1_763_700_000_123)).toBe('2025-11-21T04:40:00.123Z');
    expect(timeCell(null)).toBeNull();
    expect(timeCell(8.64e15)).toBe('infinity');
    expect(timeCell(-8.64e15)).toBe('-infinity');
  });

  test('writes JSON without what jsonb refuses', () => {
    const text = jsonCell([{ name: 'a\u0000\uD83D', value: Number.NaN, amount: 10n }]);
    expect(JSON.parse(text)).toEqual([{ name: 'a\uFFFD\uFFFD', value: null, amount: '10' }]);
  });
});
