/** How a running task hears of what the plan passes over: as soon as it sees the decision, not when its turn comes. */
import { isPipelineError } from '#pipeline/errors.ts';
import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { isTick } from '#pipeline/merge/position.ts';
import { decodeDecision } from '#pipeline/plan/decisions.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { Topic } from '#schemas/topics.ts';
import type { Gate } from './gate.ts';
import { skipIn } from './skips.ts';

/** Records of the plan, as they were fetched. Throws STREAM_FORKED when the task has folded what is passed over. */
export function learnFrom(
  records: readonly KafkaRecord[],
  { serde, topic }: { readonly serde: Serde; readonly topic: Topic },
  gate: Pick<Gate, 'learn'>,
): void {
  for (const { offset, value, headers } of records) {
    if (value === null || isTick(headers)) continue;
    try {
      const skip = skipIn(decodeDecision(serde, topic, value, `${topic.name}/0/${offset}`));
      if (skip !== null) gate.learn(skip);
    } catch (error) {
      // A later version may have decided it, behind the cut at which this one ends: the fold stops at it if it gets there.
      if (!isPipelineError(error, 'PLAN_UNREADABLE')) throw error;
    }
  }
}
