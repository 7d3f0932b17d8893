import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alerts, enrichedTransfers, factsRules, ledgerCoverage, topics } from '#schemas/topics.ts';
import { refuseUnknownLogicalTypes } from './avro.ts';
import { bigintToBytes, bytesToBigint } from './decimal.ts';
import { localSerde } from './serde.ts';

describe('decimals', () => {
  test('a bigint survives its bytes, in shortest form', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 260n), max: 2n ** 260n }), (value) => {
        const bytes = bigintToBytes(value);
        expect(bytesToBigint(bytes)).toBe(value);
        if (bytes.length > 1) {
          const shorter = bytes.subarray(1);
          expect(bytesToBigint(shorter)).not.toBe(value);
        }
      }),
    );
  });
  test.each([
    [0n, '00'],
    [127n, '7f'],
    [128n, '0080'],
    [-1n, 'ff'],
    [-128n, '80'],
    [100n * 10n ** 18n, '056bc75e2d63100000'],
  ])('%s is %s', (value, hex) => {
    expect(bigintToBytes(value).toString('hex')).toBe(hex);
  });
});

describe('schemas', () => {
  test('every topic compiles, and its values go through bytes unchanged', () => {
    const serde = localSerde(topics);
    const ledger = {
      source: 'evm:1',
      state: 'missing',
      what: 'blocks',
      first: 2n ** 60n,
      last: 2n ** 60n + 1n,
      hash: null,
      atMs: 1_700_000_000_123,
    } as const;
    expect(serde.decode(ledgerCoverage, serde.encode(ledgerCoverage, ledger))).toEqual(ledger);
    const rule = {
      id: 'r',
      chain: 'ethereum',
      asset: 'native',
      overRaw: 10n ** 20n,
      overUsd: null,
      text: '<b>',
    };
    expect(serde.decode(factsRules, serde.encode(factsRules, rule))).toEqual(rule);
    expect(topics.map((topic) => topic.name)).toContain(enrichedTransfers.name);
    expect(topics.map((topic) => topic.name)).toContain(alerts.name);
  });
  test('an unknown logical type is refused', () => {
    const schema = { type: 'long', logicalType: 'time-micros' } as never;
    expect(() => refuseUnknownLogicalTypes(schema, 'X.at')).toThrow(/X\.at: logical type time-micros/);
  });
  test('a value that does not fit is refused, not coerced', () => {
    const serde = localSerde(topics);
    expect(() => serde.encode(factsRules, { id: 1 } as never)).toThrow(/Rule\.id: expected a string/);
    expect(() => localSerde(topics).decode(factsRules, Buffer.from([0, 0, 0, 0, 9]))).toThrow(/schema id 9/);
  });
});
