/**
 * Decides that a record is passed over, when the log shows that nobody got past it (engine rules, 11.4). The skip is a record
 * of the plan: all starts read it before they fold, and tasks that run see it as an input.
 */

import type { Clock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { readPosition, writerName } from '#pipeline/merge/position.ts';
import { readDecisions } from '#pipeline/plan/decisions.ts';
import type { Graph } from '#pipeline/runtime/graph.ts';
import { readControlTick } from '#pipeline/runtime/outputs.ts';
import { appendDecision, type Genesis } from '#pipeline/runtime/plan.ts';
import { readSince } from '#pipeline/runtime/read-topic.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import { UNSAID } from '#schemas/plan.ts';
import type { Mark } from './gate.ts';
import { type Skip, skipName, skipsOf } from './skips.ts';

export interface VerdictOptions {
  readonly kafka: Kafka;
  readonly serde: Serde;
  readonly graph: Graph;
  readonly genesis: Pick<Genesis, 'epoch' | 'fingerprint' | 'versions'>;
  readonly physicalName: (topic: string) => string;
  readonly clock: Clock;
}

/** Everything that the plan passes over now. */
export async function readSkips(
  options: Pick<VerdictOptions, 'kafka' | 'serde' | 'graph' | 'physicalName'>,
): Promise<readonly Skip[]> {
  return skipsOf(await readDecisions({ ...options, topic: options.graph.planTopic }));
}

/**
 * Appends "this is passed over", unless the plan says so already. Throws SKIP_REFUSED, and changes nothing, when the log
 * shows that the task got past it in some process.
 */
export async function decideSkip(options: VerdictOptions, mark: Mark, note: string | null): Promise<Skip> {
  const isIt = (skip: Skip): boolean => skip.writer === mark.writer && skipName(skip) === skipName(mark);
  const find = async (): Promise<Skip | undefined> => (await readSkips(options)).find(isIt);
  const before = await find();
  if (before !== undefined) return before;
  const evidence = await findPassed(options, mark);
  if (evidence !== null) {
    // A copy may have decided it meanwhile: then it has passed over it, and writes on.
    const meanwhile = await find();
    if (meanwhile === undefined) throw refused(mark, evidence);
    return meanwhile;
  }
  const { graph, genesis, clock } = options;
  const { writer, processor, place, step, logTimeMs, digest } = mark;
  await appendDecision(
    { ...options, topic: graph.planTopic },
    {
      ...UNSAID,
      kind: 'skip',
      epoch: genesis.epoch,
      fingerprint: genesis.fingerprint,
      atMs: clock.nowMs(),
      note,
      skip: { writer, processor, place, step: BigInt(step), logTimeMs, digest },
    },
  );
  const decided = await find();
  if (decided !== undefined) return decided;
  throw new PipelineError('INVARIANT_BROKEN', `${place}: the skip was acknowledged but is not in the plan`);
}

const refused = ({ writer, place }: Mark, evidence: string): PipelineError =>
  new PipelineError(
    'SKIP_REFUSED',
    `${place}: it ends this process, but ${writer} got past it somewhere: ${evidence}; to pass over it would make another stream. What differs from that process: memory, Node flags, native modules? Give this one the same and start it again, or leave ${writer} to the other`,
  );

/** What in the log shows that a process folded it; null: nothing. */
async function findPassed(options: VerdictOptions, mark: Mark): Promise<string | null> {
  const { graph, kafka, physicalName } = options;
  const { writer, logTimeMs, sequences } = mark;
  const node = graph.nodes.find(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => writerName(name, partition)).includes(writer),
  );
  if (node === undefined) throw notHere(writer);
  for (const { name } of node.outputs) {
    for await (const { partition, record } of readSince(kafka, physicalName(name), logTimeMs)) {
      const place = `${name}/${partition}`;
      const position = readPosition(record.headers, `${place}/${record.offset}`);
      const known = sequences[place] ?? 0;
      if (position.writer === writer && position.sequence > known)
        return `${place}/${writer}:${position.sequence} is in the log, it had written ${known} before`;
    }
  }
  for await (const { record } of readSince(kafka, physicalName(node.controlTopic), logTimeMs)) {
    const tick = readControlTick(record.value);
    if (tick?.writer === writer && tick.logTimeMs > logTimeMs)
      return `it promised that nothing before log time ${tick.logTimeMs} follows`;
  }
  return null;
}

const notHere = (writer: string): PipelineError =>
  new PipelineError(
    'SKIP_REFUSED',
    `${writer}: expected a task of this topology, found none: "baleen graph"`,
  );
