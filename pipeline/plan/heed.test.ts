import { describe, expect, test } from 'vitest';
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import type { Skip } from '#pipeline/poison/skips.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { type Plan, plan, UNSAID } from '#schemas/plan.ts';
import { encodeDecision } from './decisions.ts';
import { heed } from './heed.ts';

const planTopic = { name: 'plan', layer: 'plan', key: 'kind', schema: plan, partitions: 1 } as const;
const serde = localSerde([planTopic]);
const recordOf = (decision: Partial<Plan> & Pick<Plan, 'kind' | 'epoch'>): KafkaRecord => ({
  offset: 3,
  timestampMs: 5,
  key: null,
  value: encodeDecision(serde, planTopic, { ...UNSAID, fingerprint: 'v1', atMs: 0, ...decision }),
  headers: [],
});

/** What `detect-2` of version 1, or of a replay, comes to know. */
const heard = (record: KafkaRecord, epoch: number | null = 1): readonly Skip[] => {
  const skips: Skip[] = [];
  const gate = { learn: (skip: Skip) => skips.push(skip) };
  heed([record], { serde, topic: planTopic, writer: 'detect-2', epoch, gate });
  return skips;
};

describe('a running task', () => {
  test('learns what is passed over before its turn comes', () => {
    const skip = {
      writer: 'detect-2',
      processor: 'detect',
      place: 't/0/7',
      step: 4n,
      logTimeMs: 9,
      digest: '00000001',
    };
    expect(heard(recordOf({ kind: 'skip', epoch: 1, skip }))).toEqual([{ ...skip, step: 4 }]);
  });

  test('ends when it reads that it was brought to the next cut by force', () => {
    const forced = recordOf({ kind: 'force', epoch: 2, tasks: ['detect-1', 'detect-2'] });
    expect(() => heard(forced)).toThrow('plan/0/3: the cut to version 2 was forced for detect-2');
  });

  test('goes on when others were, when it is the version that began there, and when it is a replay', () => {
    expect(heard(recordOf({ kind: 'force', epoch: 2, tasks: ['detect-1'] }))).toEqual([]);
    const forced = recordOf({ kind: 'force', epoch: 2, tasks: ['detect-2'] });
    expect(heard(forced, 2)).toEqual([]);
    expect(heard(forced, null)).toEqual([]);
  });

  test('leaves what it cannot read to the fold, which stops there', () => {
    expect(heard({ ...recordOf({ kind: 'force', epoch: 2 }), value: Buffer.from([9]) })).toEqual([]);
  });
});
