import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCsv } from './csv.ts';

const fieldsOf = (text: string) => parseCsv(text).map(({ fields }) => fields);

describe('parseCsv', () => {
  test.each([
    ['nothing', '', []],
    [
      'plain fields',
      'a,b\n1,2\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'CRLF and no last line break',
      'a,b\r\n1,2',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    ['commas and line breaks in quotes', '"a,b","c\r\nd"\n', [['a,b', 'c\r\nd']]],
    ['doubled quotes', '"say ""hi""",x', [['say "hi"', 'x']]],
    [
      'empty fields',
      ',\n"",""\n',
      [
        ['', ''],
        ['', ''],
      ],
    ],
    ['a byte order mark', '\uFEFFa', [['a']]],
    ['empty lines', 'a\n\n\nb', [['a'], ['b']]],
    ['a quote inside a bare field', 'a"b,c', [['a"b', 'c']]],
    ['a quote that is never closed', '"a,b\nc', [['a,b\nc']]],
  ])('reads %s', (_, text, expected) => {
    expect(fieldsOf(text)).toEqual(expected);
  });

  test('gives the first line of each row, counting breaks inside quotes', () => {
    expect(parseCsv('a\n"b\nb"\n\nc').map(({ line }) => line)).toEqual([1, 2, 5]);
  });

  test('reads back whatever was quoted', () => {
    const table = fc.array(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }));
    fc.assert(
      fc.property(table, (rows) => {
        const quoted = (field: string) => `"${field.replaceAll('"', '""')}"`;
        const text = rows.map((row) => `${row.map(quoted).join(',')}\r\n`).join('');
        expect(fieldsOf(text)).toEqual(rows);
      }),
    );
  });
});
