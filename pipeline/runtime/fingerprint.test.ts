import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { defineProcessor, keyed, type ProcessorDefinition } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { dlq, first, plan, raw } from '#pipeline/testing/fold-run.ts';
import { fingerprint } from './fingerprint.ts';
import { buildGraph } from './graph.ts';

const processor = (change: Partial<ProcessorDefinition> = {}, retentionMs = 1_000): ProcessorDefinition => ({
  ...defineProcessor({
    name: 'relay',
    summary: 'passes on',
    stores: { seen: keyValue({ retentionMs }) },
    inputs: [keyed(raw, () => {})],
    outputs: [first],
  }),
  ...change,
});

const of = (definition: ProcessorDefinition, folders: readonly string[] = []): Promise<string> =>
  fingerprint({
    graph: buildGraph({ processors: [definition], planTopic: plan, dlqTopic: dlq }),
    folders,
  });

test('a version is its declarations: a changed setting is another one', async () => {
  const one = await of(processor());
  expect(await of(processor({ summary: 'in other words' }))).toBe(one);
  const others = [
    processor({ name: 'other' }),
    processor({}, 1_001),
    processor({ stores: {} }),
    processor({ keepsKey: true }),
    processor({ onError: { decode: 'stop', logic: 'dead-letter', output: 'dead-letter' } }),
    processor({ inputs: [keyed(raw, () => {}, { maxAheadMs: 5 })] }),
    processor({ outputs: [{ ...first, partitions: 2 }] }),
  ];
  const found = await Promise.all(others.map((other) => of(other)));
  expect(new Set([one, ...found]).size).toBe(others.length + 1);
});

test('a version is its sources, but not its tests', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'baleen-fingerprint-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'deep'));
  await writeFile(join(folder, 'deep', 'logic.ts'), 'export const limit = 1;');
  const one = await of(processor(), [folder]);
  await writeFile(join(folder, 'deep', 'logic.test.ts'), 'test');
  await writeFile(join(folder, 'read-me.md'), 'words');
  expect(await of(processor(), [folder])).toBe(one);
  await writeFile(join(folder, 'deep', 'logic.ts'), 'export const limit = 2;');
  expect(await of(processor(), [folder])).not.toBe(one);
});
