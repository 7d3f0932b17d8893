import { describe, expect, test } from 'vitest';
import { recordJson, recordLine } from './record-text.ts';
import { findTopic } from './tap.ts';

const record = (value: unknown) => ({
  topic: 'raw.evm.v1',
  partition: 1,
  offset: 7,
  timestampMs: 0,
  key: '1',
  position: null,
  value,
  problem: null,
});

describe('a record', () => {
  test('as JSON has exact integers as text and bodies as what they are', () => {
    const value = { amount: 2n ** 255n, body: Buffer.from('{"a":1}'), bytes: Buffer.from([0xff, 0]) };
    expect(JSON.parse(recordJson(record(value), false))).toEqual({
      topic: 'raw.evm.v1',
      partition: 1,
      offset: 7,
      timestampMs: 0,
      key: '1',
      position: null,
      value: { amount: String(2n ** 255n), body: '{"a":1}', bytes: 'base64:/wA=' },
    });
  });

  test('is cut where its body is long, unless all is asked for', () => {
    const value = { body: Buffer.from('é'.repeat(5_000)) };
    expect(recordJson(record(value), false)).toContain('...(10000 bytes; --full shows all)');
    expect(JSON.parse(recordJson(record(value), true)).value.body).toBe('é'.repeat(5_000));
  });

  test('never reaches a terminal as a command', () => {
    const hostile = '\u001b[2J\u009b\u202e\u2028\n\u{e0041}';
    const value = { text: hostile, name: hostile };
    const json = recordJson(record(value), false);
    expect(JSON.parse(json).value.text).toBe(hostile);
    for (const shown of [json, recordLine(record(value), false)]) {
      expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u);
    }
  });

  test('for people begins with time and place and leaves out what is unknown', () => {
    const value = { id: 'a', eventTimeMs: 1_000, units: null, text: 'moved', causes: ['x'] };
    expect(recordLine(record(value), false)).toBe(
      '1970-01-01T00:00:00.000Z  raw.evm.v1/1/7  1  at 1970-01-01T00:00:01.000Z  moved  id=a',
    );
    expect(recordLine(record(null), false)).toContain('(withdrawn)');
  });
});

describe('a topic', () => {
  test('is found with and without its version', () => {
    expect(findTopic('alerts').name).toBe('alerts.v1');
    expect(findTopic('raw.evm.v1').name).toBe('raw.evm.v1');
  });

  test('of another name is refused with those that come near', () => {
    expect(() => findTopic('alrets')).toThrow('did you mean alerts?');
    expect(() => findTopic('transfers')).toThrow(/chain\.transfers or enriched\.transfers/);
    expect(() => findTopic('zzz')).toThrow('there are plan,');
  });
});
