import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { topics } from '#schemas/topics.ts';
import { connectors } from './registry.ts';

test('every folder is a connector of its name, and every connector has a folder', () => {
  const folders = readdirSync(new URL('.', import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  expect(connectors.map(({ name }) => name).sort()).toEqual(folders.sort());
});

test.each(connectors.map((connector) => [connector.name, connector] as const))(
  '%s says what it does and writes only raw, fact and ledger topics that exist',
  (_, { summary, outputs }) => {
    expect(summary).toMatch(/^[A-Z].*\.$/);
    expect(outputs.length).toBeGreaterThan(0);
    for (const output of outputs) {
      expect(topics).toContain(output);
      expect(['raw', 'fact', 'ledger']).toContain(output.layer);
    }
  },
);

test('connectors that end by themselves write facts, and only they do', () => {
  for (const connector of connectors) {
    expect(connector.outputs.every(({ layer }) => layer === 'fact')).toBe(connector.isFinite);
  }
});

test('no two connectors write the same raw or fact topic', () => {
  const names = connectors.flatMap(({ outputs }) =>
    outputs.filter(({ layer }) => layer !== 'ledger').map(({ name }) => name),
  );
  expect(new Set(names).size).toBe(names.length);
});
