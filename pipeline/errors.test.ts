import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, isPipelineError, messageOf, PipelineError, printableUrl } from './errors.ts';

describe('error codes', () => {
  test('are those of ops/errors.md, with the same actions and in the same order', async () => {
    const text = await readFile(new URL('../ops/errors.md', import.meta.url), 'utf8');
    const rows = [...text.matchAll(/^\| `([A-Z_]+)` \| ([a-z-]+) \| (.+) \| (.+) \|$/gm)];
    expect(rows.map(([, code, action]) => [code, action])).toEqual(Object.entries(ERROR_CODES));
  });

  test('decide the action of an error', () => {
    const error = new PipelineError('SINK_UNAVAILABLE', 'text', { facts: { attempt: 1 } });
    expect(error.action).toBe('retry');
    expect(isPipelineError(error, 'SINK_UNAVAILABLE')).toBe(true);
    expect(isPipelineError(error, 'SINK_STALE')).toBe(false);
    expect(isPipelineError(new Error('text'))).toBe(false);
  });
});

describe('messages', () => {
  test('are on one line, whatever was thrown', () => {
    expect(messageOf(new Error('a\n  b'))).toBe('a b');
    expect(messageOf(new TypeError(''))).toBe('TypeError');
    expect(messageOf('text')).toBe('text');
  });

  test.each([
    ['https://user:pass@host/v2/abcdefghijklmnopqrstuvwx?key=1', 'https://host/v2/***?***'],
    ['postgres://user:pass@host:5432/db', 'postgres://host:5432/db'],
    ['not a url with pass', '(not a URL)'],
  ])('show no secret of %s', (url, expected) => {
    expect(printableUrl(url)).toBe(expected);
  });
});
