import type avsc from 'avsc';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nullable, type RecordSchema, rawAmount, timestampMs } from '#schemas/avro.ts';
import { topics } from '#schemas/topics.ts';
import { compile } from './avro.ts';
import { compileCodec } from './codec.ts';

const everything = {
  type: 'record',
  name: 'Everything',
  fields: [
    { name: 'flag', type: 'boolean' },
    { name: 'count', type: 'int' },
    { name: 'large', type: 'long' },
    { name: 'atMs', type: timestampMs },
    { name: 'ratio', type: 'double' },
    { name: 'text', type: 'string' },
    { name: 'maybe', type: nullable('string') },
    { name: 'body', type: 'bytes' },
    { name: 'amount', type: rawAmount },
    { name: 'side', type: { type: 'enum', name: 'Side', symbols: ['buy', 'sell'] } },
    { name: 'list', type: { type: 'array', items: nullable('long') } },
    { name: 'offsets', type: { type: 'map', values: 'long' } },
    {
      name: 'part',
      type: ['null', { type: 'record', name: 'Part', fields: [{ name: 'name', type: 'string' }] }],
    },
    { name: 'mixed', type: ['null', 'boolean', 'int', 'string', 'bytes'] },
  ],
} as const satisfies RecordSchema;

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.string({ minLength: 60 }),
);
const bytes = fc.uint8Array().map((array) => Buffer.from(array));
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const values = fc.record(
  {
    flag: fc.boolean(),
    count: fc.integer(),
    large: fc.oneof(long, fc.bigInt({ min: -100n, max: 100n })),
    atMs: fc.maxSafeInteger(),
    ratio: fc.double({ noNaN: true }),
    text,
    maybe: fc.option(text),
    body: bytes,
    amount: fc.bigInt({ min: -(2n ** 258n), max: 2n ** 258n }),
    side: fc.constantFrom('buy', 'sell'),
    list: fc.array(fc.option(long)),
    // By key, as it is written: the library writes maps as they were filled.
    offsets: fc
      .uniqueArray(fc.tuple(fc.string(), long), { selector: ([key]) => key })
      .map((entries) => Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))),
    part: fc.option(fc.record({ name: text }, { noNullPrototype: true })),
    mixed: fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), text, bytes),
  },
  { noNullPrototype: true },
);

const codec = compileCodec(everything);

const encode = (value: unknown): Buffer => {
  const room = Buffer.alloc(1 << 20);
  return room.subarray(0, codec.write(value, room, 0));
};

describe('a compiled codec', () => {
  test('writes the bytes that the Avro library writes, and reads what it wrote', () => {
    const library: avsc.Type = compile(everything);
    fc.assert(
      fc.property(values, (value) => {
        // Keys that look like numbers come first in an object, whatever was written first.
        const isOrdered =
          Object.keys(value.offsets).join('\0') === Object.keys(value.offsets).sort().join('\0');
        const written = encode(value);
        // Half of a surrogate pair is no character: the library writes it as it is where the text is short. And its
        // own numbers are exact up to 52 bits.
        const isSame = isOrdered && value.text.isWellFormed() && Math.abs(value.atMs) < 2 ** 52;
        if (isSame) expect(written.equals(library.toBuffer(value))).toBe(true);
        expect(codec.read(written, 0)).toEqual(value);
      }),
    );
  });

  test('says by how much a value does not fit, and writes it elsewhere as before', () => {
    fc.assert(
      fc.property(values, fc.nat(400), (value, size) => {
        const whole = encode(value);
        const small = Buffer.alloc(size);
        expect(codec.write(value, small, 0) > size).toBe(whole.length > size);
        expect(encode(value).equals(whole)).toBe(true);
      }),
    );
  });

  test('refuses bytes that were cut or that go on, and never hangs on any', () => {
    fc.assert(
      fc.property(values, fc.nat(), (value, at) => {
        const whole = encode(value);
        expect(() => codec.read(whole.subarray(0, at % whole.length), 0)).toThrow();
        expect(() => codec.read(Buffer.concat([whole, Buffer.from([0])]), 0)).toThrow(RangeError);
      }),
    );
    fc.assert(
      fc.property(bytes, (noise) => {
        try {
          codec.read(noise, 0);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });

  const valid = {
    flag: true,
    count: 1,
    large: 1n,
    atMs: 1,
    ratio: 1,
    text: '',
    maybe: null,
    body: Buffer.alloc(0),
    amount: 1n,
    side: 'buy',
    list: [],
    offsets: {},
    part: null,
    mixed: null,
  };

  test.each([
    ['Everything.flag: expected a boolean', { flag: 1 }],
    ['Everything.count: expected a whole number of 32 bits, found 2147483648 (number)', { count: 2 ** 31 }],
    ['Everything.count: expected a whole number of 32 bits, found 0.5 (number)', { count: 0.5 }],
    ['Everything.large: expected a bigint, found 1 (number)', { large: 1 }],
    ['Everything.large: expected a bigint of 64 bits', { large: 2n ** 63n }],
    ['Everything.atMs: expected whole milliseconds', { atMs: 2 ** 53 }],
    ['Everything.text: expected a string, found null (null)', { text: null }],
    ['Everything.text: expected a string, found undefined (undefined)', { text: undefined }],
    ['Everything.maybe: expected null or string, found number', { maybe: 5 }],
    ['Everything.amount: expected a bigint', { amount: '5' }],
    ['Everything.side: expected one of buy, sell, found hold', { side: 'hold' }],
    ['Everything.list: expected an array', { list: {} }],
    ['Everything.list[]: expected null or bigint, found number', { list: [1] }],
    ['Everything.offsets{}: expected a bigint', { offsets: { a: 1 } }],
    ['Everything.part.name: expected a string', { part: { name: 1 } }],
  ])('refuses a value with the place and what was expected: %s', (message, change) => {
    expect(() => encode({ ...valid, ...change })).toThrow(message);
  });

  test('writes a map by key, however it was filled', () => {
    const [a, b] = [
      { x: 1n, a: 2n },
      { a: 2n, x: 1n },
    ];
    expect(encode({ ...valid, offsets: a }).equals(encode({ ...valid, offsets: b }))).toBe(true);
    const hostile = Object.fromEntries([['__proto__', 1n]]);
    expect(codec.read(encode({ ...valid, offsets: hostile }), 0)).toMatchObject({ offsets: hostile });
  });

  test('compiles every topic; names that are no names never become source text', () => {
    for (const topic of topics) expect(() => compileCodec(topic.schema)).not.toThrow();
    const hostile = { type: 'record', name: 'X', fields: [{ name: 'a: (0), b', type: 'int' }] } as const;
    expect(() => compileCodec(hostile)).toThrow(/is no name/);
    const twice = { type: 'record', name: 'X', fields: [{ name: 'a', type: ['int', 'double'] }] } as const;
    expect(() => compileCodec(twice)).toThrow(/branches of one kind/);
  });
});
