import { NAMESPACE, nullable, timestampMs, type ValueOf } from './avro.ts';

/** A record or timer that kills the process that folds it, and is passed over. */
const skippedStep = {
  type: 'record',
  name: 'SkippedStep',
  fields: [
    { name: 'writer', type: 'string', doc: 'task that passes over it, such as detect-2' },
    {
      name: 'processor',
      type: 'string',
      doc: 'that does not handle it; empty: its bytes are not read at all',
    },
    {
      name: 'place',
      type: 'string',
      doc: 'topic/partition/offset, topic/partition/writer:sequence, or processor/timer/key@due',
    },
    { name: 'step', type: 'long', doc: 'records and timers that the task had folded before it' },
    { name: 'logTimeMs', type: timestampMs, doc: 'of the step' },
    { name: 'digest', type: 'string', doc: 'of its log time, key and value; 8 hex digits' },
  ],
} as const;

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
        symbols: ['genesis', 'unknown', 'cut', 'skip', 'force'],
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
    { name: 'skip', type: nullable(skippedStep), doc: 'kind skip alone', default: null },
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
    {
      name: 'excluded',
      type: { type: 'array', items: 'string' },
      doc: 'kind cut alone: tasks (detect-2) and partitions (topic/3) that this epoch does without',
      default: [],
    },
  ],
} as const;

export type Plan = ValueOf<typeof plan>;

/** What most decisions say nothing of. */
export const UNSAID = {
  startOffsets: {},
  note: null,
  description: null,
  dropped: [],
  skip: null,
  tasks: [],
  fences: {},
  excluded: [],
} as const satisfies Partial<Plan>;
