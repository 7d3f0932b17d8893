import { NAMESPACE, nullable, timestampMs, type ValueOf } from './avro.ts';

/**
 * A decision that is not in the data (engine rules, section 2). Value of `plan`. Fields are only ever added, with a
 * default: every version must read what the versions before it decided.
 */
export const plan = {
  type: 'record',
  name: 'Plan',
  namespace: NAMESPACE,
  fields: [
    {
      name: 'kind',
      type: {
        type: 'enum',
        name: 'PlanKind',
        symbols: ['genesis', 'unknown', 'cut', 'force'],
        default: 'unknown',
      },
    },
    { name: 'epoch', type: 'int', doc: 'of the version that begins here' },
    {
      name: 'fingerprint',
      type: 'string',
      doc: 'of engine, logic, schemas, configuration, partitions, Node',
    },
    {
      name: 'startOffsets',
      type: { type: 'map', values: 'long' },
      doc: '<topic>/<partition> -> first offset of inputs that are new here',
    },
    { name: 'atMs', type: timestampMs },
    { name: 'note', type: nullable('string') },
    {
      name: 'description',
      type: nullable('string'),
      doc: 'of the version that begins here, as JSON; null: of before descriptions',
      default: null,
    },
    {
      name: 'dropped',
      type: { type: 'array', items: 'string' },
      doc: '<processor>.<store> whose state ends here',
      default: [],
    },
    {
      name: 'tasks',
      type: { type: 'array', items: 'string' },
      doc: 'of the version before, that are brought to the cut of this epoch by decree',
      default: [],
    },
    {
      name: 'fences',
      type: { type: 'map', values: 'long' },
      doc: '<topic>/<partition>/<writer> -> offset of the fence behind which only this epoch counts',
      default: {},
    },
  ],
} as const;

export type Plan = ValueOf<typeof plan>;
