import { NAMESPACE, nullable, timestampMs, type ValueOf } from './avro.ts';

/** A decision that is not in the data (engine rules, section 2). Value of `plan`. */
export const plan = {
  type: 'record',
  name: 'Plan',
  namespace: NAMESPACE,
  fields: [
    {
      name: 'kind',
      type: { type: 'enum', name: 'PlanKind', symbols: ['genesis', 'unknown'], default: 'unknown' },
    },
    { name: 'epoch', type: 'int' },
    {
      name: 'fingerprint',
      type: 'string',
      doc: 'of engine, logic, schemas, configuration, partitions, Node',
    },
    {
      name: 'startOffsets',
      type: { type: 'map', values: 'long' },
      doc: '<topic>/<partition> -> first offset',
    },
    { name: 'atMs', type: timestampMs },
    { name: 'note', type: nullable('string') },
  ],
} as const;

export type Plan = ValueOf<typeof plan>;
