import { NAMESPACE, timestampMs, type ValueOf } from './avro.ts';

/** A record that could not be processed, with its bytes. Value of `dlq`. */
export const deadLetter = {
  type: 'record',
  name: 'DeadLetter',
  namespace: NAMESPACE,
  fields: [
    { name: 'id', type: 'string', doc: 'dlq:<place>' },
    { name: 'eventTimeMs', type: timestampMs, doc: 'log time of the record' },
    { name: 'place', type: 'string', doc: 'topic/partition/offset, or writer:sequence for derived records' },
    { name: 'component', type: 'string', doc: 'processor that refused it' },
    { name: 'code', type: 'string', doc: 'error code' },
    { name: 'reason', type: 'string', doc: 'expected, found, next step; no stack' },
    { name: 'key', type: 'string' },
    { name: 'body', type: 'bytes', doc: 'bytes as they were' },
  ],
} as const;

export type DeadLetter = ValueOf<typeof deadLetter>;
