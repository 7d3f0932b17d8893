import { describe, expect, test } from 'vitest';
import { alerts, enrichedTransfers } from '#schemas/topics.ts';
import { HOSTILE_TEXTS, LARGEST_AMOUNT, sampleAlert, sampleTransfer } from '../sample-records.ts';
import { refusalOf } from './door.ts';
import { compileFilter } from './filter.ts';
import { encodeRecord, parseClientMessage, recordMessage } from './protocol.ts';

const place = { partition: 1, offset: 5, key: 'k', logTimeMs: 9, writer: 'alert-0', sequence: 7 };

describe('messages', () => {
  test('writes exact integers as decimal text, and hostile text as it is', () => {
    for (const text of HOSTILE_TEXTS) {
      const value = sampleAlert(text, { text });
      const message = JSON.parse(
        recordMessage(text, encodeRecord({ ...place, topic: alerts, key: text, value })),
      );
      expect(message).toMatchObject({
        type: 'record',
        id: text,
        topic: 'alerts.v1',
        key: text,
        position: 'alert-0:7',
        partition: 1,
        offset: 5,
        logTimeMs: 9,
        record: { id: text, text, amountRaw: LARGEST_AMOUNT.toString(), confidence: null },
      });
    }
  });

  test('a retraction is a message of its own type', () => {
    const value = sampleAlert('a', { op: 'retract' });
    expect(encodeRecord({ ...place, topic: alerts, value }).type).toBe('retracted');
  });

  test.each([
    ['not json'],
    ['null'],
    ['[]'],
    ['{"op":"subscribe"}'],
    ['{"op":"subscribe","id":"","topic":"alerts.v1"}'],
    ['{"op":"subscribe","id":"a","topic":"alerts.v1","from":"yesterday"}'],
    ['{"op":"subscribe","id":"a","topic":"alerts.v1","extra":1}'],
    ['{"op":"unsubscribe"}'],
    ['{"op":"constructor"}'],
  ])('%s is not a message', (text) => expect(parseClientMessage(text)).toBeNull());

  test('a subscription starts at the end unless it asks for the past', () => {
    expect(parseClientMessage('{"op":"subscribe","id":"a","topic":"alerts.v1"}')).toMatchObject({
      from: 'latest',
    });
  });
});

describe('filters', () => {
  const passes = (filter: unknown, value: unknown) => {
    const compiled = compileFilter(alerts, filter);
    if (!compiled.ok) throw new Error(compiled.reason);
    return compiled.filter(value);
  };
  const value = sampleAlert('a', { severity: 60 });

  test.each([
    [undefined, true],
    [{}, true],
    [{ ruleId: 'eth-over-100', severityAtLeast: 60 }, true],
    [{ severityAtLeast: 61 }, false],
    [{ ruleId: 'other' }, false],
    [{ symbol: null }, true],
    [{ fromName: null }, false],
    [{ amountRaw: LARGEST_AMOUNT.toString() }, true],
    [{ amountRaw: '1' }, false],
  ])('%j lets it through: %s', (filter, expected) => expect(passes(filter, value)).toBe(expected));

  test.each([
    ['text', 'expected an object'],
    [{ rule: 'a' }, 'another field'],
    [{ evidence: 'a' }, 'another field'],
    [JSON.parse('{"__proto__":{"a":1}}'), 'another field'],
    [{ ruleId: ['a'] }, 'expected text'],
    [{ severityAtLeast: '50' }, 'expected a number'],
  ])('%j is refused', (filter, reason) => {
    expect(compileFilter(alerts, filter)).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  });

  test('a topic without severity has no severityAtLeast, and a nullable record cannot be compared', () => {
    expect(compileFilter(enrichedTransfers, { severityAtLeast: 1 }).ok).toBe(false);
    expect(compileFilter(enrichedTransfers, { fromLabel: null }).ok).toBe(false);
    const compiled = compileFilter(enrichedTransfers, { flow: 'outflow', blockNumber: 23_400_000 });
    expect(compiled.ok && compiled.filter(sampleTransfer('a'))).toBe(true);
  });
});

describe('the door', () => {
  const rules = { path: '/ws', allowedOrigins: ['https://desk.example'], token: null };
  const secured = { ...rules, token: 'a token of some length' };

  test.each([
    ['/ws', {}, rules, null],
    ['/other', {}, rules, 404],
    ['/ws', { origin: 'https://desk.example', host: 'x' }, rules, null],
    ['/ws', { origin: 'https://evil.example', host: '127.0.0.1:1' }, rules, 403],
    ['/ws', { origin: 'http://127.0.0.1:1', host: '127.0.0.1:1' }, rules, null],
    ['/ws', { origin: 'http://localhost:1', host: 'localhost:1' }, rules, null],
    ['/ws', { origin: 'http://[::1]:1', host: '[::1]:1' }, rules, null],
    ['/ws', { origin: 'http://rebound.example:1', host: 'rebound.example:1' }, rules, 403],
    ['/ws', { origin: 'null', host: '127.0.0.1:1' }, rules, 403],
    ['/ws', {}, secured, 401],
    ['/ws?token=wrong', {}, secured, 401],
    ['/ws?token=a%20token%20of%20some%20length', {}, secured, null],
    ['/ws', { authorization: 'Bearer a token of some length' }, secured, null],
    ['http://x/ws', {}, rules, 400],
  ])('%s with %j is answered as it should', (target, headers, given, expected) => {
    expect(refusalOf(target, headers, given)).toBe(expected);
  });
});
