/** How a running task hears of decisions that cannot wait for their turn in its input. */
import { isPipelineError, PipelineError } from '#pipeline/errors.ts';
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { isTick } from '#pipeline/merge/position.ts';
import type { Gate } from '#pipeline/poison/gate.ts';
import { skipIn } from '#pipeline/poison/skips.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { Plan } from '#schemas/plan.ts';
import type { Topic } from '#schemas/topics.ts';
import { decodeDecision } from './decisions.ts';

export interface Heeding {
  readonly serde: Serde;
  /** The plan. */
  readonly topic: Topic;
  readonly writer: string;
  /** Of the version that runs here; null: of a replay, which passes over the cuts. */
  readonly epoch: number | null;
  readonly gate: Pick<Gate, 'learn'>;
}

/**
 * Records of the plan, as they were fetched. Throws STREAM_FORKED when the task has folded what is passed over, EPOCH_CLOSED when
 * it is at the cut by decree, and nobody hears this one any more.
 */
export function heed(records: readonly KafkaRecord[], { serde, topic, writer, epoch, gate }: Heeding): void {
  for (const { offset, value, headers } of records) {
    if (value === null || isTick(headers)) continue;
    const place = `${topic.name}/0/${offset}`;
    try {
      const decision = decodeDecision(serde, topic, value, place);
      const skip = skipIn(decision);
      if (skip !== null) gate.learn(skip);
      if (isForced(decision, writer, epoch)) throw closed(place, writer, decision.epoch);
    } catch (error) {
      // A later version may have decided it, behind the cut at which this one ends: the fold stops at it if it gets there.
      if (!isPipelineError(error, 'PLAN_UNREADABLE')) throw error;
    }
  }
}

const isForced = ({ kind, epoch, tasks }: Plan, writer: string, own: number | null): boolean =>
  own !== null && kind === 'force' && epoch === own + 1 && tasks.includes(writer);

const closed = (place: string, writer: string, next: number): PipelineError =>
  new PipelineError(
    'EPOCH_CLOSED',
    `${place}: the cut to version ${next} was forced for ${writer}, and nobody hears this one any more: start version ${next}`,
  );
