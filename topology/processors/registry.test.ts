import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { topics } from '#schemas/topics.ts';
import { processors } from './registry.ts';

test('the names of the processors equal their folders', () => {
  const folders = readdirSync(new URL('.', import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  expect(processors.map((processor) => processor.name).sort()).toEqual(folders.sort());
});

test('every processor reads one topic by key, and only topics that exist', () => {
  for (const { name, inputs, outputs, summary } of processors) {
    expect(
      inputs.filter((input) => input.mode === 'keyed'),
      name,
    ).toHaveLength(1);
    for (const topic of [...inputs.map((input) => input.topic), ...outputs]) expect(topics).toContain(topic);
    expect(summary, name).toMatch(/^[A-Z].*[^.]$/);
  }
});
