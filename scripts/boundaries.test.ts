import { describe, expect, test } from 'vitest';
import {
  areaOf,
  checkFile,
  checkImport,
  checkRoot,
  formatViolation,
  ROOT_ENTRIES,
  resolveSpecifier,
} from './boundaries.ts';

const lines = (path: string, text: string) =>
  checkFile(path, text).map(({ line, found }) => `${line} ${found}`);

describe('checkImport', () => {
  test.each([
    ['pipeline/rooms.ts', '#schemas/topics.ts'],
    ['pipeline/kafka/link.ts', 'kafkajs/src/cluster'],
    ['connectors/evm/index.ts', './client.ts'],
    ['connectors/evm/fixtures/node.ts', '../wire.ts'],
    ['connectors/registry.ts', './evm/index.ts'],
    ['connectors/evm/index.test.ts', '../bybit/wire.ts'],
    ['connectors/evm/index.test.ts', '#pipeline/testing/process.ts'],
    ['topology/processors/registry.ts', './enrich/index.ts'],
    ['topology/graph.ts', '#sinks/registry.ts'],
    ['topology/graph.ts', './processors/enrich/index.ts'],
    ['ops/cli/up.ts', '#topology/main.ts'],
    ['scripts/new-room.ts', '#ops/cli/up.ts'],
    ['sinks/postgres/client.ts', 'pg'],
  ])('lets %s import %s', (from, specifier) => expect(checkImport(from, specifier)).toBeNull());

  test.each([
    ['schemas/block.ts', '#pipeline/errors.ts'],
    ['pipeline/rooms.ts', '#connectors/registry.ts'],
    ['pipeline/rooms.test.ts', '#sinks/registry.ts'],
    ['connectors/evm/index.ts', '../bybit/wire.ts'],
    ['connectors/evm/index.ts', '#topology/graph.ts'],
    ['connectors/evm/index.ts', '#sinks/postgres/client.ts'],
    ['topology/processors/score/logic.ts', '../enrich/logic.ts'],
    ['topology/processors/score/logic.ts', '#topology/graph.ts'],
    ['topology/graph.ts', '#ops/cli/up.ts'],
    ['connectors/evm/index.ts', '../../pipeline/errors.ts'],
    ['connectors/evm/index.ts', '#pipeline/testing/process.ts'],
    ['connectors/evm/index.ts', 'kafkajs'],
    ['connectors/evm/index.ts', 'node:timers/promises'],
    ['connectors/evm/index.ts', '#scripts/boundaries.ts'],
  ])('refuses that %s imports %s', (from, specifier) => expect(checkImport(from, specifier)).not.toBeNull());
});

describe('checkFile', () => {
  test('finds imports of every form, each with its line', () => {
    const text = [
      `import type { A } from '#ops/a.ts';`,
      `export { b } from '#ops/b.ts';`,
      `const c = await import('#ops/c.ts');`,
      `type D = import('#ops/d.ts').D;`,
      `import '#ops/e.ts';`,
      `const f = require('kafkajs');`,
    ].join('\n');
    expect(lines('connectors/evm/index.ts', text).map((line) => line.split(' ')[0])).toEqual([
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
    ]);
  });

  test('ignores what comments and strings say', () => {
    const text = `// import x from '#ops/x.ts'; Date.now()\nconst y = "console.log(process.env)";`;
    expect(lines('connectors/evm/index.ts', text)).toEqual([]);
  });

  test('finds the clock, chance, environment, console and timers outside of their places', () => {
    const text =
      'Date.now();\nMath.random();\nprocess.env.X;\nconsole.log(1);\nsetTimeout(f);\nglobalThis.setInterval(f);\nnew Date();';
    expect(lines('connectors/evm/index.ts', text)).toHaveLength(7);
    for (const path of [
      'pipeline/clock.ts',
      'pipeline/config/environment.ts',
      'topology/main.ts',
      'ops/cli/up.ts',
      'sinks/a.test.ts',
    ]) {
      expect(lines(path, text), path).toEqual([]);
    }
  });

  test('lets a clock be used that is handed in, and a date be made of a number', () => {
    expect(
      lines('sinks/postgres/encode.ts', 'clock.nowMs(); options.setTimeout(1); new Date(atMs);'),
    ).toEqual([]);
  });

  test('refuses barrels and names that say nothing', () => {
    expect(lines('pipeline/state/store.ts', `export * from './level.ts';`)).toEqual(['1 export *']);
    for (const path of [
      'pipeline/utils.ts',
      'ops/helpers/a.ts',
      'sinks/common.test.ts',
      'connectors/misc/index.ts',
    ]) {
      expect(lines(path, ''), path).toHaveLength(1);
    }
    expect(lines('pipeline/common-prefix.ts', '')).toEqual([]);
  });
});

test('the root holds exactly the layout, the lockfile and dotfiles', () => {
  expect(checkRoot([...ROOT_ENTRIES, 'package-lock.json', 'node_modules', '.git', '.ci'])).toEqual([]);
  expect(
    checkRoot([...ROOT_ENTRIES.filter((entry) => entry !== 'README.md'), 'notes.txt']).map(
      ({ file }) => file,
    ),
  ).toEqual(['notes.txt', 'README.md']);
});

test('files beside a registry belong to no room', () => {
  expect(areaOf('sinks/registry.ts')).toEqual({ layer: 'sinks', room: null });
  expect(areaOf('topology/processors/enrich/logic.ts')).toEqual({
    layer: 'processors',
    room: 'topology/processors/enrich',
  });
  expect(areaOf('node_modules/pg/index.js')).toBeNull();
});

test('specifiers resolve to paths below the root', () => {
  expect(resolveSpecifier('pipeline/state/level.ts', '../errors.ts')).toBe('pipeline/errors.ts');
  expect(resolveSpecifier('pipeline/state/level.ts', 'classic-level')).toBeNull();
});

test('a violation is printed on one line with its place', () => {
  const violation = { file: 'a.ts', line: 3, found: 'x', expected: 'y', hint: 'z' };
  expect(formatViolation(violation)).toBe('a.ts:3: found x; expected y; z');
});
