import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { createPositions, POSITION_HEADER } from '#pipeline/merge/position.ts';
import { buildGraph } from '#pipeline/runtime/graph.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { dlq, first } from '#pipeline/testing/fold-run.ts';
import { createSmallKafka } from '#pipeline/testing/small-kafka.ts';
import { relay } from '#pipeline/testing/task-run.ts';
import { plan } from '#schemas/plan.ts';
import type { Mark } from './gate.ts';
import { decideSkip, readSkips } from './verdict.ts';

const planTopic = { name: 'plan', layer: 'plan', key: 'kind', schema: plan, partitions: 1 } as const;
const graph = buildGraph({ processors: [relay()], planTopic, dlqTopic: dlq });
const controlTopic = graph.nodes[0]?.controlTopic ?? '';

const mark: Mark = {
  ...{ writer: 'relay-0', processor: 'relay', place: 'raw/0/3', step: 3, logTimeMs: 40 },
  ...{ digest: '0000002a', sequences: { 'first/0': 2 } },
};

const createWorld = () => {
  const kafka = createSmallKafka();
  const options = {
    kafka,
    graph,
    serde: localSerde([planTopic]),
    genesis: { epoch: 1, fingerprint: 'one' },
    physicalName: (name: string) => name,
    clock: { nowMs: () => 7, sleep: async () => {}, every: () => () => {}, soon: () => {} },
  };
  const output = (topic: string, sequence: number, timestampMs: number, writer = 'relay-0') => {
    const position = createPositions(writer, 1)(sequence, 0);
    kafka.append(topic, 0, { timestampMs, key: null, value: null, headers: [[POSITION_HEADER, position]] });
  };
  const promise = (logTimeMs: number, writer = 'relay-0') => {
    const value = Buffer.from(JSON.stringify({ writer, epoch: 1, logTimeMs, sequences: {} }));
    kafka.append(controlTopic, 0, { timestampMs: logTimeMs, key: null, value, headers: [] });
  };
  return { options, output, promise, skips: () => readSkips(options) };
};

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return isPipelineError(error, 'SKIP_REFUSED') ? error.message : String(error);
};

describe('a skip', () => {
  test('is decided when the log holds nothing behind the record, and once only', async () => {
    const { options, output, promise, skips } = createWorld();
    for (const sequence of [1, 2, 1, 2]) output(first.name, sequence, 30);
    output(first.name, 9, 45, 'relay-1');
    promise(40);
    promise(90, 'relay-1');
    const skip = await decideSkip(options, mark, null);
    expect(skip).toEqual({
      ...{ writer: 'relay-0', processor: 'relay', place: 'raw/0/3', step: 3, logTimeMs: 40 },
      digest: '0000002a',
    });
    await decideSkip(options, mark, null);
    expect(await skips()).toEqual([skip]);
    expect(options.kafka.records(planTopic.name, 0)).toHaveLength(1);
  });

  test('is refused when an output of the task lies behind it, even before others that were written again', async () => {
    for (const { name } of [first, dlq]) {
      const { options, output, skips } = createWorld();
      for (const sequence of name === first.name ? [1, 2, 3, 1, 2] : [1]) output(name, sequence, 40);
      expect(await refusal(decideSkip(options, mark, null))).toMatch(`${name}/0/relay-0:`);
      expect(await skips()).toEqual([]);
    }
  });

  test('is refused when the task has promised that nothing of its time follows', async () => {
    const { options, promise, skips } = createWorld();
    promise(41);
    promise(40);
    expect(await refusal(decideSkip(options, mark, null))).toMatch('nothing before log time 41');
    expect(await skips()).toEqual([]);
  });

  test('is refused for a task that this topology has not', async () => {
    const { options } = createWorld();
    expect(await refusal(decideSkip(options, { ...mark, writer: 'relay-1' }, null))).toMatch('relay-1');
  });
});
