import { describe, expect, test } from 'vitest';
import { type Check, createCheck } from './check.ts';
import { digestAfter, fieldsOf, positionOf, type Seen } from './wire.ts';

/** Zigzag varint and text, behind the prefix. */
function encode(...fields: readonly (number | string)[]): Buffer {
  const long = (value: number): number[] => {
    const bytes: number[] = [];
    for (let rest = value < 0 ? -2 * value - 1 : 2 * value; ; rest = Math.floor(rest / 128)) {
      if (rest < 128) return [...bytes, rest];
      bytes.push((rest % 128) + 128);
    }
  };
  const bytes = fields.flatMap((field) =>
    typeof field === 'number' ? long(field) : [...long(Buffer.byteLength(field)), ...Buffer.from(field)],
  );
  return Buffer.from([0, 0, 0, 0, 1, ...bytes]);
}

interface Run {
  readonly check: Check;
  readonly violations: string[];
  /** Appends to the input; `null`: a tick. */
  input(partition: number, timestampMs: number, fields: readonly (number | string)[] | null): void;
  /** Appends to a stream of `scaled`, as a task does; `sequence` and `value` can be wrong on purpose. */
  output(record: { timestampMs: number; fields: readonly (number | string)[]; sequence?: number }): void;
}

function start(): Run {
  const violations: string[] = [];
  const check = createCheck({
    windowMs: 1_000,
    graceMs: 100,
    silenceMs: 700,
    partitions: 1,
    inputPartitions: 2,
    partitionOf: () => 0,
    violated: (what) => violations.push(what),
  });
  const offsets = [0, 0];
  let sequence = 0;
  let digest = '00000000';
  return {
    check,
    violations,
    input: (partition, timestampMs, fields) => {
      const headers: Record<string, Buffer> = fields === null ? { tick: Buffer.alloc(0) } : {};
      const value = fields === null ? null : encode(...fields);
      check.take('readings', partition, offsets[partition] ?? 0, { timestampMs, key: null, value, headers });
      offsets[partition] = (offsets[partition] ?? 0) + 1;
    },
    output: ({ timestampMs, fields, sequence: given }) => {
      const isNew = given === undefined || given > sequence;
      if (isNew) sequence = given ?? sequence + 1;
      const position = Buffer.from(`scale-0:${given ?? sequence};1;${isNew ? digest : '00000000'}`);
      const record: Seen = {
        timestampMs,
        key: Buffer.from('a1'),
        value: encode(...fields),
        headers: { position },
      };
      if (isNew) digest = digestAfter(digest, record);
      check.take('scaled', 0, 0, record);
    },
  };
}

describe('the check of the campaign', () => {
  test('reads values and positions', () => {
    expect(fieldsOf(encode(0, 'a1', -5, 1_795_290_144_449), 'lsll')).toEqual([
      0,
      'a1',
      -5,
      1_795_290_144_449,
    ]);
    expect(() => fieldsOf(encode(1, 2), 'l')).toThrow(/too many/);
    const headers = { position: Buffer.from('scale-0:12;1;0a0b0c0d') };
    const seen = { timestampMs: 0, key: null, value: null, headers };
    expect(positionOf(seen)).toEqual({ writer: 'scale-0', sequence: 12, previousDigest: '0a0b0c0d' });
    expect(positionOf({ ...seen, headers: {} })).toBeNull();
  });

  test('takes what it expects, and says what is missing', () => {
    const { check, violations, input, output } = start();
    input(0, 100, [0, 'a1', 5, 90]);
    expect(check.missing(101)).toBeNull();
    input(1, 200, null);
    input(0, 200, null);
    // Scaled, re-keyed, total.
    expect(check.missing(101)).toBe(3);
    output({ timestampMs: 100, fields: [0, 'a1', 15, 90] });
    expect(check.missing(101)).toBe(2);
    expect(check.counts()).toMatchObject({ inputs: 1, outputs: 1, compared: 1 });
    expect(violations).toEqual([]);
  });

  test('counts the same bytes again, and does not forgive others', () => {
    const { check, violations, output } = start();
    output({ timestampMs: 100, fields: [0, 'a1', 15, 90] });
    output({ timestampMs: 100, fields: [0, 'a1', 15, 90], sequence: 1 });
    expect(violations).toEqual([]);
    expect(check.counts().duplicates).toBe(1);
    output({ timestampMs: 100, fields: [0, 'a1', 16, 90], sequence: 1 });
    expect(violations).toEqual([expect.stringMatching(/other bytes/)]);
  });

  test('finds a wrong value, a wrong time and a gap', () => {
    for (const [record, expected] of [
      [
        { timestampMs: 100, fields: [0, 'a1', 14, 90] },
        /expected 100 a1 0 a1 15 90, found 100 a1 0 a1 14 90/,
      ],
      [{ timestampMs: 101, fields: [0, 'a1', 15, 90] }, /expected 100 a1/],
      [{ timestampMs: 100, fields: [0, 'a1', 15, 90], sequence: 2 }, /follows 0: a gap/],
    ] as const) {
      const { check, violations, input, output } = start();
      input(0, 100, [0, 'a1', 5, 90]);
      input(0, 200, null);
      input(1, 200, null);
      output(record);
      check.missing(200);
      expect(violations[0]).toMatch(expected);
    }
  });

  test('finds a record that nothing can explain', () => {
    const { check, input, output } = start();
    input(0, 200, null);
    input(1, 200, null);
    output({ timestampMs: 100, fields: [0, 'a1', 15, 90] });
    expect(check.unexpected()).toBe(1);
  });
});
