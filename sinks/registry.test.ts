import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { topics } from '#schemas/topics.ts';
import { sinks } from './registry.ts';

/** What a sink cannot work without, in its smallest form. */
const REQUIRED: Readonly<Record<string, object>> = { postgres: { url: 'postgres://localhost/baleen' } };

test('every folder is a registered sink, and every sink has its folder', () => {
  const folders = readdirSync(new URL('.', import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  expect(sinks.map(({ name }) => name).sort()).toEqual(folders.sort());
});

describe.each(sinks.map((sink) => [sink.name, sink] as const))('%s', (name, sink) => {
  test('works with its defaults and refuses options that it does not know', () => {
    expect(sink.config.safeParse(REQUIRED[name] ?? {}).success).toBe(true);
    expect(sink.config.safeParse({ ...REQUIRED[name], unheardOf: 1 }).success).toBe(false);
  });

  test('reads topics that exist, each once', () => {
    expect(sink.inputs.length).toBeGreaterThan(0);
    expect(new Set(sink.inputs).size).toBe(sink.inputs.length);
    for (const input of sink.inputs) expect(topics).toContain(input);
  });

  test('says in one sentence what it does', () => expect(sink.summary).toMatch(/^[A-Z].*\.$/));
});
