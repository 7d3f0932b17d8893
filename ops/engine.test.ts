import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(import.meta.dirname, 'engine.md'), 'utf8');

/** What stands in the last column, `such as this`. */
const named = [
  ...new Set(
    page
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .flatMap((line) =>
        [...(line.split('|').at(-2) ?? '').matchAll(/`([\w./*-]+)`/g)].map(([, name]) => name ?? ''),
      ),
  ),
].filter((name) => name.includes('/'));

test('ops/engine.md names tests', () => {
  expect(named.length).toBeGreaterThan(20);
});

test.each(named)('the test %s, named in ops/engine.md, exists', (name) => {
  expect(globSync(`${join(root, 'pipeline', name)}{.test,.broker.test}.ts`)).not.toEqual([]);
});
