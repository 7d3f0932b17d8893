import { describe, expect, test } from 'vitest';
import { defineProcessor, keyed, type ProcessorDefinition } from '#pipeline/processor.ts';
import { buildGraph } from '#pipeline/runtime/graph.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { dlq, facts, first, plan, raw, second } from '#pipeline/testing/fold-run.ts';
import type { Topic } from '#schemas/topics.ts';
import { compareVersions, droppedStores } from './compare.ts';
import { type Description, describeVersion, fingerprintOf, readDescription } from './description.ts';

const store = (retentionMs?: number) => keyValue<number>(retentionMs === undefined ? {} : { retentionMs });
const relay = (change: Partial<ProcessorDefinition> = {}): ProcessorDefinition => ({
  ...defineProcessor({
    name: 'relay',
    summary: 'passes on',
    stores: { seen: store(1_000), other: store() },
    inputs: [keyed(raw, () => {})],
    outputs: [first],
    keepsKey: true,
  }),
  ...change,
});
const reader = (change: Partial<ProcessorDefinition> = {}): ProcessorDefinition => ({
  ...defineProcessor({
    name: 'reader',
    summary: 'reads on',
    stores: { seen: store() },
    inputs: [keyed(first, () => {})],
    outputs: [second],
  }),
  ...change,
});

const describeAll = (
  processors: readonly ProcessorDefinition[],
  names: Readonly<Record<string, string>> = {},
): Promise<Description> =>
  describeVersion({ graph: buildGraph({ processors, names, planTopic: plan, dlqTopic: dlq }), folders: [] });

const before = await describeAll([relay(), reader()]);

/** `kind name change path` of each difference. */
const changesTo = (after: Description, emptied: readonly string[] = []) =>
  compareVersions({ before, after, emptied }).map(
    ({ kind, name, change, path }) => `${kind} ${name} ${change} ${path}`,
  );

describe('two versions', () => {
  test('that are described alike do not differ', async () => {
    const same = await describeAll([relay({ summary: 'in other words' }), reader()]);
    expect(changesTo(same)).toEqual([]);
    expect(droppedStores(before, same)).toEqual([]);
    expect(fingerprintOf(same)).toBe(fingerprintOf(before));
  });

  test('differ by code alone: state stays', () => {
    const after = { ...before, parts: { ...before.parts, 'processors/relay': 'abc' } };
    expect(changesTo(after)).toEqual(['part processors/relay added kept']);
    expect(droppedStores(before, after)).toEqual([]);
  });

  test('a new processor begins empty, one that is gone ends with its stores', async () => {
    const later = reader({ name: 'later' });
    expect(changesTo(await describeAll([relay(), reader(), later]))).toEqual(['processor later added empty']);
    const without = await describeAll([relay()]);
    expect(changesTo(without)).toEqual(['processor reader removed dropped']);
    expect(droppedStores(before, without)).toEqual(['reader.seen']);
  });

  test('a new store begins empty, one that is gone ends', async () => {
    const after = await describeAll([relay({ stores: { seen: store(1_000), more: store() } }), reader()]);
    expect(changesTo(after)).toEqual(['store relay.more added empty', 'store relay.other removed dropped']);
    expect(droppedStores(before, after)).toEqual(['relay.other']);
  });

  test('another layout of a store is refused, unless it may begin anew', async () => {
    const after = await describeAll([relay({ stores: { seen: store(2_000), other: store() } }), reader()]);
    expect(changesTo(after)).toEqual(['store relay.seen changed refused']);
    expect(changesTo(after, ['relay.seen'])).toEqual(['store relay.seen changed empty']);
    expect(droppedStores(before, after)).toEqual(['relay.seen']);
  });

  test('a processor in another sub-topology leaves its state behind, which must be asked for', async () => {
    const apart = await describeAll([relay({ keepsKey: false }), reader()]);
    expect(changesTo(apart)).toEqual([
      'sub-topology reader added empty',
      'processor relay changed kept',
      'processor reader moved kept',
      'store reader.seen changed refused',
    ]);
    expect(changesTo(apart, ['reader.seen'])).toContain('store reader.seen changed empty');
    expect(droppedStores(before, apart)).toEqual(['reader.seen']);
  });

  test('a sub-topology of another name takes no state along; its old name is used up', async () => {
    const renamed = await describeAll([relay(), reader()], { relay: 'fast' });
    expect(changesTo(renamed)).toEqual(
      expect.arrayContaining(['sub-topology fast added empty', 'sub-topology relay removed dropped']),
    );
    expect(changesTo(renamed).filter((change) => change.endsWith('refused'))).toHaveLength(3);
    const back = compareVersions({ before: renamed, after: before, past: [before] });
    expect(back).toContainEqual(
      expect.objectContaining({ kind: 'sub-topology', name: 'relay', change: 'added', path: 'refused' }),
    );
  });

  test('partitions are for life', async () => {
    const wide = { ...raw, partitions: 3 };
    const after = await describeAll([relay({ inputs: [keyed(wide, () => {})], keepsKey: false })]);
    expect(changesTo(after)).toEqual(
      expect.arrayContaining(['topic raw changed refused', 'sub-topology relay changed refused']),
    );
  });

  test('another schema is read with defaults, another layer is not', async () => {
    const { fields } = raw.schema;
    const other: Topic = { ...raw, schema: { ...raw.schema, fields: fields.slice(1) } };
    const read = (topic: Topic) => relay({ inputs: [keyed(topic, () => {})] });
    expect(changesTo(await describeAll([read(other), reader()]))).toEqual(['topic raw changed kept']);
    const fact: Topic = { ...raw, layer: 'fact' };
    expect(changesTo(await describeAll([read(fact), reader()]))).toEqual(['topic raw changed refused']);
  });

  test('inputs and outputs come and go', async () => {
    const after = await describeAll([
      relay({ inputs: [keyed(raw, () => {}), keyed(facts, () => {})], outputs: [first, second] }),
    ]);
    expect(changesTo(after)).toEqual([
      'processor reader removed dropped',
      'input relay < facts keyed added empty',
      'output relay > second added kept',
    ]);
  });
});

test('a description is read back as it was written; what is none is as good as unknown', () => {
  expect(readDescription(JSON.stringify(before))).toEqual(before);
  expect(readDescription('{"parts": 1}')).toBeNull();
  expect(readDescription('?')).toBeNull();
});
