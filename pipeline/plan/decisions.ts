/** The records of the plan, as every task and every process reads them. */
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { isTick } from '#pipeline/merge/position.ts';
import { readToEnd } from '#pipeline/runtime/read-topic.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import { type Plan, plan } from '#schemas/plan.ts';
import type { Topic } from '#schemas/topics.ts';

/** A decision takes effect at its own place in the order of everything. */
export interface PlacedDecision {
  readonly offset: number;
  /** Effective log time. */
  readonly logTimeMs: number;
  readonly decision: Plan;
}

export const encodeDecision = (serde: Serde, topic: Topic, decision: Plan): Buffer =>
  serde.encode({ ...topic, schema: plan }, decision);

/** Throws PLAN_UNREADABLE: what a newer version decided may not be passed over. */
export function decodeDecision(serde: Serde, topic: Topic, value: Buffer, place: string): Plan {
  let decision: Plan;
  try {
    decision = serde.decode({ ...topic, schema: plan }, value);
  } catch (error) {
    throw unreadable(place, messageOf(error), error);
  }
  if (decision.kind === 'unknown') throw unreadable(place, 'a kind that this version does not know');
  return decision;
}

/** All decisions up to the present end. Throws PLAN_UNREADABLE. */
export async function readDecisions(options: {
  readonly kafka: Kafka;
  readonly serde: Serde;
  readonly topic: Topic;
  readonly physicalName: (topic: string) => string;
}): Promise<readonly PlacedDecision[]> {
  const { kafka, serde, topic, physicalName } = options;
  const decisions: PlacedDecision[] = [];
  let logTimeMs = 0;
  for await (const { record } of readToEnd(kafka, physicalName(topic.name))) {
    const { offset, value } = record;
    logTimeMs = Math.max(logTimeMs, record.timestampMs);
    if (value === null || isTick(record.headers)) continue;
    const decision = decodeDecision(serde, topic, value, `${topic.name}/0/${offset}`);
    decisions.push({ offset, logTimeMs, decision });
  }
  return decisions;
}

const unreadable = (place: string, found: string, cause?: unknown): PipelineError =>
  new PipelineError(
    'PLAN_UNREADABLE',
    `${place}: expected a decision, found ${found}; a newer version wrote it: start that one, or this one again so that it learns its schema`,
    { cause },
  );
