import { describe, expect, test } from 'vitest';
import { isJsonArray, jsonMembers, parseHeader, parseQuantity, parseSocketMessage } from './parse.ts';

const bytes = (text: string) => Buffer.from(text);
const members = (text: string) =>
  [...(jsonMembers(bytes(text)) ?? [['unreadable', '']])].map(([name, value]) => `${name}=${value}`);

describe('jsonMembers', () => {
  test.each([
    ['{}', []],
    [' { } \n', []],
    ['{"a":1}', ['a=1']],
    ['{"id" : 1 ,\n"result": {"b": [1, {"c":"}"}] } }', ['id=1', 'result={"b": [1, {"c":"}"}] }']],
    ['{"a":"\\"}","b":null}', ['a="\\"}"', 'b=null']],
    ['{"a":"\\\\","b":-1.50e400}', ['a="\\\\"', 'b=-1.50e400']],
    ['{"a":"é€"}', ['a="é€"']],
    ['{"__proto__":{"x":1}}', ['__proto__={"x":1}']],
  ])('slices %s', (text, expected) => {
    expect(members(text)).toEqual(expected);
  });

  test.each([
    '',
    'null',
    '[1]',
    '{',
    '{"a"',
    '{"a":',
    '{"a":}',
    '{"a":1,}',
    '{"a":1 "b":2}',
    '{a:1}',
    '{"a":{',
    '{} x',
    '{"a":"x',
  ])('calls %j unreadable', (text) => {
    expect(jsonMembers(bytes(text))).toBeNull();
  });

  test('passes bytes on that are not UTF-8', () => {
    const value = Buffer.from([0x22, 0xff, 0xfe, 0x22]);
    const text = Buffer.concat([bytes('{"result":'), value, bytes('}')]);
    expect(jsonMembers(text)?.get('result')).toEqual(value);
  });

  test('reads brackets nested deeper than any stack', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    expect(members(`{"a":${deep}}`)).toEqual([`a=${deep}`]);
  });
});

describe('readers', () => {
  const hash = `0x${'aB'.repeat(32)}`;

  test('read the header of a block, hashes in lower case', () => {
    const header = parseHeader(bytes(JSON.stringify({ number: '0x1A', hash, parentHash: hash, other: 1 })));
    expect(header).toEqual({ number: 26, hash: hash.toLowerCase(), parentHash: hash.toLowerCase() });
  });

  test.each(['', 'null', '[]', '{"number":"0x1"}', `{"number":1,"hash":"${hash}","parentHash":"${hash}"}`])(
    'find no header in %j',
    (text) => {
      expect(parseHeader(bytes(text))).toBeNull();
    },
  );

  test.each([
    ['"0x0"', 0],
    ['"0x1ff"', 511],
    ['"0x"', null],
    ['"12"', null],
    ['12', null],
    ['"0xffffffffffffffff"', null],
  ])('read the quantity %s as %s', (text, expected) => {
    expect(parseQuantity(bytes(text))).toBe(expected);
  });

  test('tell an array from anything else', () => {
    expect(isJsonArray(bytes(' [ ]'))).toBe(true);
    expect(isJsonArray(bytes('[1}'))).toBe(false);
    expect(isJsonArray(bytes('null'))).toBe(false);
  });

  test('read a head without a hash', () => {
    const frame = { method: 'eth_subscription', params: { subscription: '0x1', result: { number: '0xa' } } };
    expect(parseSocketMessage(bytes(JSON.stringify(frame)))).toEqual({
      kind: 'head',
      head: { number: 10, hash: null },
    });
  });
});
