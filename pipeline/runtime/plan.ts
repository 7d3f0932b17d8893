/** The plan: decisions that are not in the data. Here its first record, the genesis (engine rules, section 2). */
import type { Clock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { isTick } from '#pipeline/merge/position.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { Plan, plan } from '#schemas/plan.ts';
import type { Topic } from '#schemas/topics.ts';
import type { Graph } from './graph.ts';
import { readToEnd } from './read-topic.ts';

/** What the pipeline began with. */
export interface Genesis {
  readonly fingerprint: string;
  readonly epoch: number;
  /** `topic/partition` -> first offset of each raw, fact and history partition. */
  readonly startOffsets: ReadonlyMap<string, number>;
}

/** A genesis as it stands in the plan. */
export interface FoundGenesis extends Genesis {
  /** Wall clock of its writer; with the fingerprint it tells one beginning from another. */
  readonly atMs: number;
}

/**
 * Reads the genesis, or writes it when the plan is empty. When two processes write it at once, the first one in the
 * log holds for both. Throws FINGERPRINT_CHANGED when this version is not the one that began.
 */
export async function openPlan(options: {
  kafka: Kafka;
  serde: Serde;
  graph: Graph;
  topic: Topic<typeof plan>;
  physicalName: (topic: string) => string;
  fingerprint: string;
  clock: Clock;
  /** Take the plan's fingerprint as it is: for a replay that reports what differs. */
  anyFingerprint?: boolean;
}): Promise<FoundGenesis> {
  const { kafka, serde, topic, fingerprint } = options;
  const found = (await firstGenesis(options)) ?? (await writeGenesis(options));
  if (found.fingerprint !== fingerprint && options.anyFingerprint !== true) {
    throw new PipelineError(
      'FINGERPRINT_CHANGED',
      `${topic.name}: the topics were begun by version ${found.fingerprint.slice(0, 12)}, this is ${fingerprint.slice(0, 12)} (code, schemas, partitions or Node differ); start with --fresh, or run the version that began`,
    );
  }
  return {
    fingerprint,
    epoch: found.epoch,
    atMs: Number(found.atMs),
    startOffsets: new Map(Object.entries(found.startOffsets).map(([name, offset]) => [name, Number(offset)])),
  };

  async function firstGenesis({ physicalName }: typeof options): Promise<Plan | null> {
    for await (const { record } of readToEnd(kafka, physicalName(topic.name))) {
      if (record.value === null || isTick(record.headers)) continue;
      const decision = serde.decode(topic, record.value);
      if (decision.kind === 'genesis') return decision;
    }
    return null;
  }

  async function writeGenesis({ graph, physicalName, clock }: typeof options): Promise<Plan> {
    const startOffsets: Record<string, bigint> = {};
    const admin = kafka.admin();
    const producer = kafka.producer();
    try {
      for (const input of graph.topics.filter(
        ({ layer }) => layer === 'raw' || layer === 'fact' || layer === 'history',
      )) {
        for (const { partition, start } of await admin.offsets(physicalName(input.name))) {
          startOffsets[`${input.name}/${partition}`] = BigInt(start);
        }
      }
      const atMs = clock.nowMs();
      const genesis: Plan = { kind: 'genesis', epoch: 1, fingerprint, startOffsets, atMs, note: null };
      const value = serde.encode(topic, genesis);
      await producer.send(physicalName(topic.name), 0, {
        timestampMs: atMs,
        key: Buffer.from('genesis'),
        value,
        headers: [],
      });
    } finally {
      await producer.close();
      await admin.close();
    }
    const written = await firstGenesis(options);
    if (written === null)
      throw new PipelineError(
        'INVARIANT_BROKEN',
        `${topic.name}: the genesis was acknowledged but is not there`,
      );
    return written;
  }
}
