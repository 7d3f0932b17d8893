/** What a task reads: one inbound for each partition, from where its checkpoint or its version begins. */
import { PipelineError } from '#pipeline/errors.ts';
import { type Channel, channelName } from '#pipeline/merge/channel.ts';
import { derivedInbound, type Inbound, rawInbound } from '#pipeline/merge/inbound.ts';
import { firstResume, ownVersion } from '#pipeline/plan/beginning.ts';
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
  const groups = Map.groupBy(channels, ({ topic, partition }) => `${topic}/${partition}`);
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
        cutMs: ownVersion(genesis)?.cut?.logTimeMs ?? 0,
        maxWaitingBytes,
      });
    }
    const layer = graph.topics.find((topic) => topic.name === first.topic)?.layer ?? 'raw';
    return rawInbound(first, resume ?? firstResume(name, layer, genesis));
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
