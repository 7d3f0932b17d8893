/** A topology in which one record ends the process that folds it, for good: nothing is caught, nothing is closed. */
import { defineProcessor, keyed } from '#pipeline/processor.ts';
import { buildGraph } from '#pipeline/runtime/graph.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { NAMESPACE } from '#schemas/avro.ts';
import { dlq, planTopic, type Topic } from '#schemas/topics.ts';

const numbered = {
  type: 'record',
  name: 'Numbered',
  namespace: NAMESPACE,
  fields: [
    { name: 'number', type: 'long' },
    { name: 'count', type: 'long', doc: 'of those that were counted, this one included' },
  ],
} as const;

export const given: Topic<typeof numbered> = {
  ...{ name: 'given', layer: 'raw', key: 'any', schema: numbered, partitions: 1 },
};
const derived = (name: string): Topic<typeof numbered> => ({
  ...{ name, layer: 'derived', key: 'any', schema: numbered, partitions: 1 },
});
export const passed = derived('passed');
export const counted = derived('counted');

/** Nobody survives it. */
export const POISON = 13n;

const pass = defineProcessor({
  name: 'pass',
  summary: 'passes on, so that what kills comes from a task and not from outside',
  inputs: [
    keyed(given, ({ key, value }, { emit }) => (value === null ? undefined : emit(passed, key, value))),
  ],
  outputs: [passed],
});

const stores = { seen: keyValue<string>() };

const count = defineProcessor({
  name: 'count',
  summary: 'counts, and dies of one record',
  stores,
  inputs: [
    keyed<typeof numbered, typeof stores>(passed, ({ key, value }, context) => {
      if (value === null) return;
      const seen = BigInt(context.stores.seen.get('all') ?? '0') + 1n;
      context.stores.seen.put('all', String(seen));
      context.emit(counted, key, { number: value.number, count: seen });
      if (value.number === POISON) process.kill(process.pid, 'SIGKILL');
    }),
  ],
  outputs: [counted],
});

export const graph = buildGraph({ processors: [pass, count], planTopic, dlqTopic: dlq });
