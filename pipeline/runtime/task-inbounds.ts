/** What a task reads: one inbound for each partition, from where its checkpoint or its version begins. */
import { PipelineError } from '#pipeline/errors.ts';
import { type Channel, channelName, partitionOf } from '#pipeline/merge/channel.ts';
import { derivedInbound, type Inbound, rawInbound } from '#pipeline/merge/inbound.ts';
import { excludedHere, firstResume, ownVersion } from '#pipeline/plan/beginning.ts';
import type { CheckpointContents } from './checkpoint.ts';
import type { Graph } from './graph.ts';
import type { Genesis } from './plan.ts';

/** `saved`: null at the very beginning. */
export function createInbounds(
  channels: readonly Channel[],
  graph: Graph,
  genesis: Genesis,
  saved: CheckpointContents | null,
  maxWaitingBytes: number,
): readonly Inbound[] {
  const groups = Map.groupBy(channels, partitionOf);
  const cutMs = ownVersion(genesis)?.cut?.logTimeMs ?? 0;
  const excluded = excludedHere(genesis);
  return [...groups].map(([name, group]) => {
    const [first] = group;
    if (first === undefined) throw new PipelineError('INVARIANT_BROKEN', `${name}: no channels`);
    const resume = saved?.inputs[name];
    if (first.writer !== '') {
      const { topic, partition } = first;
      return derivedInbound({
        topic,
        partition,
        channels: group,
        resumeOffset: resume?.offset ?? 0,
        epoch: genesis.epoch,
        cutMs,
        excluded,
        maxWaitingBytes,
      });
    }
    const layer = graph.topics.find((topic) => topic.name === first.topic)?.layer ?? 'raw';
    const { offset, maximumMs, digest } = resume ?? firstResume(name, layer, genesis);
    // Whatever comes now comes at the cut at the earliest: also to a partition that the version before did without.
    // Decisions are heeded as soon as they are seen, whatever waits before them.
    const isAhead = layer === 'plan';
    return rawInbound(first, { offset, maximumMs: Math.max(maximumMs, cutMs), digest }, isAhead);
  });
}

/**
 * Writers that this version does not read keep their place: a later one may read them again. What is behind that place
 * lies in Kafka, as the checkpoint found it, and is not compared any more.
 */
export function unreadPoints(
  saved: CheckpointContents | null,
  channels: readonly Channel[],
): CheckpointContents['channels'] {
  const read = new Set(channels.map(channelName));
  return Object.fromEntries(
    Object.entries(saved?.channels ?? {})
      .filter(([name]) => !read.has(name))
      .map(([name, { stored: _, ...point }]) => [name, point]),
  );
}

/** Partitions that this version does without keep their place: the one in which they return goes on there. */
export const excludedInputs = (
  saved: CheckpointContents | null,
  excluded: ReadonlySet<string>,
): CheckpointContents['inputs'] =>
  Object.fromEntries(Object.entries(saved?.inputs ?? {}).filter(([name]) => excluded.has(name)));
