import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import {
  formatDigest,
  formatPosition,
  isTick,
  nextDigest,
  POSITION_HEADER,
  readPosition,
  TICK_HEADER,
  writerName,
} from './position.ts';

const header = (text: string) => [[POSITION_HEADER, Buffer.from(text, 'latin1')]] as const;

test('a position is written as in its description', () => {
  const position = { writer: writerName('detect', 2), sequence: 1041, epoch: 1, previousDigest: 0x09af33c1 };
  expect(formatPosition(position)).toBe('detect-2:1041;1;09af33c1');
  expect(readPosition(header('detect-2:1041;1;09af33c1'), 't/0/0')).toEqual(position);
});

test('every position survives writing and reading', () => {
  const positions = fc.record({
    writer: fc
      .tuple(fc.stringMatching(/^[a-z][a-z0-9-]{0,40}$/), fc.nat(999))
      .map(([name, partition]) => writerName(name, partition)),
    sequence: fc.integer({ min: 0, max: 999_999_999_999_999 }),
    epoch: fc.nat(999_999_999),
    previousDigest: fc.integer({ min: 0, max: 0xffffffff }),
  });
  fc.assert(
    fc.property(positions, (position) => {
      expect(readPosition(header(formatPosition(position)), 'here')).toEqual(position);
    }),
  );
});

test.each([
  ['no header', []],
  ['other text', header('hello')],
  ['a sequence with a sign', header('w-1:-1;1;00000000')],
  ['a short digest', header('w-1:1;1;0000000')],
  ['an upper-case digest', header('w-1:1;1;0000000A')],
  ['something after it', header('w-1:1;1;00000000 ')],
  ['a huge sequence', header(`w-1:${'9'.repeat(16)};1;00000000`)],
  ['a huge header', header(`w-1:1;1;${'0'.repeat(100_000)}`)],
])('refuses %s with its place', (_, headers) => {
  let error: unknown;
  try {
    readPosition(headers, 'scores.v1/3/17');
  } catch (caught) {
    error = caught;
  }
  expect(isPipelineError(error, 'STREAM_FORKED')).toBe(true);
  expect(String(error)).toContain('scores.v1/3/17');
});

test('digests are 8 hex digits, also for what JavaScript shows as negative', () => {
  expect([formatDigest(0), formatDigest(-1), formatDigest(0xffffffff)]).toEqual([
    '00000000',
    'ffffffff',
    'ffffffff',
  ]);
});

test('the digest depends on the records before, the log time, the key and the value', () => {
  const [key, value] = [Buffer.from('k'), Buffer.from('v')];
  const digests = [
    nextDigest(0, 1, key, value),
    nextDigest(1, 1, key, value),
    nextDigest(0, 2, key, value),
    nextDigest(0, 1, Buffer.from('K'), value),
    nextDigest(0, 1, key, Buffer.from('V')),
    nextDigest(0, 1, key, null),
  ];
  expect(new Set(digests).size).toBe(digests.length);
  expect(nextDigest(0, 1, key, value)).toBe(digests[0]);
});

test('a tick is known by its only header', () => {
  expect(isTick([[TICK_HEADER, Buffer.alloc(0)]])).toBe(true);
  expect(isTick([])).toBe(false);
  expect(
    isTick([
      [TICK_HEADER, Buffer.alloc(0)],
      ['other', Buffer.alloc(0)],
    ]),
  ).toBe(false);
});
