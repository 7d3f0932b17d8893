import { expect, test } from 'vitest';
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import type { CheckpointContents } from '#pipeline/runtime/checkpoint.ts';
import { buildGraph } from '#pipeline/runtime/graph.ts';
import { dlq, topic } from '#pipeline/testing/fold-run.ts';
import { plan } from '#schemas/plan.ts';
import { begunByDecree } from './decree.ts';
import { describeVersion } from './description.ts';
import type { Version } from './versions.ts';

const planTopic = { name: 'plan', layer: 'plan', key: 'kind', schema: plan, partitions: 1 } as const;
const [raw, made] = [topic('raw', 'raw'), topic('made')];
const make = defineProcessor({
  name: 'make',
  summary: 'makes',
  stores: {},
  inputs: [keyed(raw, () => {})],
  outputs: [made],
});
const read = defineProcessor({
  name: 'read',
  summary: 'reads',
  stores: {},
  inputs: [keyed(made, () => {})],
  outputs: [topic('out')],
});
const graph = buildGraph({ processors: [make, read], planTopic, dlqTopic: dlq });
const description = await describeVersion({ graph, folders: [] });
const version = (epoch: number, cut: Version['cut']): Version => ({
  epoch,
  fingerprint: `v${epoch}`,
  cut,
  startOffsets: new Map(),
  dropped: [],
  forced: [],
  fences: new Map(),
  excluded: [],
  description,
  atMs: 0,
  note: null,
});
const versions = [version(1, null), version(2, { offset: 9, logTimeMs: 500 })];
const genesis = { fingerprint: 'v1', epoch: 1, startOffsets: new Map([['raw/0', 3]]), versions };
const begin = (subTopology: string, saved: CheckpointContents | null) =>
  begunByDecree({
    saved,
    genesis,
    version: versions[1] as Version,
    graph,
    id: { subTopology, partition: 0 },
    step: 7_000,
    tails: [{ name: 'out/0', offset: 40, sequence: 12, digest: 5 }],
    fences: new Map([['made/0/make-0', 30]]),
  });

test('a task goes on from its last checkpoint, as if what it had not folded had come at the cut', () => {
  const saved: CheckpointContents = {
    fingerprint: 'v1',
    epoch: 1,
    step: 30,
    logTimeMs: 300,
    lastKey: { logTimeMs: 300, rank: 1, order: 4 },
    inputs: {
      'plan/0': { offset: 2, maximumMs: 100, digest: 8 },
      'made/0': { offset: 5, maximumMs: 0, digest: 0 },
    },
    channels: { 'plan/0/': { sequence: 1, digest: 0 }, 'made/0/make-0': { sequence: 4, digest: 6 } },
    destinations: { 'out/0': { sequence: 10, digest: 3 }, 'dlq/0': { sequence: 1, digest: 1 } },
    streamTimes: { read: 250 },
  };
  expect(begin('read', saved)).toEqual({
    fingerprint: 'v2',
    epoch: 2,
    step: 7_000,
    logTimeMs: 500,
    lastKey: { logTimeMs: 500, rank: 0, order: 9 },
    inputs: {
      'plan/0': { offset: 10, maximumMs: 500, digest: 0 },
      'made/0': { offset: 5, maximumMs: 0, digest: 0 },
    },
    channels: {
      'plan/0/': { sequence: 1, digest: 0 },
      'made/0/make-0': { sequence: 4, digest: 6, fences: [{ epoch: 2, offset: 30 }], floorMs: 500 },
    },
    destinations: { 'out/0': { sequence: 12, digest: 5 }, 'dlq/0': { sequence: 1, digest: 1 } },
    streamTimes: { read: 250 },
  });
});

test('a task without a checkpoint reads all from where its version began', () => {
  expect(begin('make', null)).toMatchObject({
    inputs: { 'raw/0': { offset: 3, maximumMs: 0, digest: 0 } },
    channels: {},
  });
  expect(begin('read', null).channels).toEqual({
    'made/0/make-0': { sequence: 0, digest: 0, fences: [{ epoch: 2, offset: 30 }], floorMs: 500 },
  });
});

test('a task that the next version does not have begins nowhere', () => {
  expect(begin('gone', null)).toMatchObject({ channels: {}, inputs: { 'plan/0': { offset: 10 } } });
});
