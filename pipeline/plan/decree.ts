/** What a task begins with at a cut that the version before cannot bring it to (engine rules, 11.3). */
import { PipelineError } from '#pipeline/errors.ts';
import { type ChannelPoint, channelName } from '#pipeline/merge/channel.ts';
import { withFence } from '#pipeline/merge/fence.ts';
import type { CheckpointContents } from '#pipeline/runtime/checkpoint.ts';
import type { Graph, TaskId } from '#pipeline/runtime/graph.ts';
import type { Genesis } from '#pipeline/runtime/plan.ts';
import { firstResume, ownVersion } from './beginning.ts';
import type { FencedWriter } from './fencing.ts';
import type { Version } from './versions.ts';

/**
 * What its last checkpoint holds. What it had not folded by then is folded by the next version, as if it had come at the cut;
 * its outputs go on behind all that is in the log.
 */
export function begunByDecree(options: {
  /** Null: it took no checkpoint. */
  readonly saved: CheckpointContents | null;
  /** Of the version before. */
  readonly genesis: Genesis;
  /** That begins at the cut. */
  readonly version: Version;
  readonly graph: Graph;
  readonly id: TaskId;
  readonly step: number;
  /** Of its destinations. */
  readonly tails: readonly FencedWriter[];
  /** `topic/partition/writer` -> offset, of all fences of this cut. */
  readonly fences: ReadonlyMap<string, number>;
}): CheckpointContents {
  const { version, graph, step, tails, fences } = options;
  if (version.cut === null)
    throw new PipelineError('INVARIANT_BROKEN', `version ${version.epoch} begins at no cut`);
  const { offset, logTimeMs } = version.cut;
  const first = atFirst(options);
  const saved = options.saved ?? { inputs: {}, channels: {}, destinations: {}, streamTimes: {} };
  // One that rests at the cut before was never gone on with.
  const { nextEpoch: _, ...kept } = { nextEpoch: 0, ...saved };
  return {
    ...kept,
    fingerprint: version.fingerprint,
    epoch: version.epoch,
    step,
    logTimeMs,
    lastKey: { logTimeMs, rank: 0, order: offset },
    // Whoever reads on from them gives nothing a time before the cut.
    inputs: {
      ...first.inputs,
      ...saved.inputs,
      [`${graph.planTopic.name}/0`]: { offset: offset + 1, maximumMs: logTimeMs, digest: 0 },
    },
    channels: Object.fromEntries(
      Object.entries({ ...first.channels, ...saved.channels }).map(([name, point]) => [
        name,
        name.endsWith('/') ? point : { ...withFenceAt(point, version, fences.get(name)), floorMs: logTimeMs },
      ]),
    ),
    destinations: {
      ...saved.destinations,
      ...Object.fromEntries(tails.map(({ name, sequence, digest }) => [name, { sequence, digest }])),
    },
  };
}

/** Who knows of the fence before it comes by it knows how much there is yet to fold of a writer that is excluded. */
const withFenceAt = (point: ChannelPoint, { epoch }: Version, offset: number | undefined): ChannelPoint =>
  offset === undefined ? point : { ...point, fences: withFence(point.fences ?? [], { epoch, offset }) };

/** Where a task of the version before began to read. What is new to the next version begins as it does there. */
function atFirst({
  genesis,
  graph,
  id,
}: Pick<Parameters<typeof begunByDecree>[0], 'genesis' | 'graph' | 'id'>): Pick<
  CheckpointContents,
  'inputs' | 'channels'
> {
  const before = ownVersion(genesis);
  const processors = before?.description?.subTopologies.find(
    ({ name }) => name === id.subTopology,
  )?.processors;
  const read = new Set(processors?.flatMap(({ inputs }) => inputs.map((input) => input.split(' ')[0])));
  const isThere = graph.nodes.some(({ name }) => name === id.subTopology);
  const known = (isThere ? graph.channels(id) : []).filter(
    ({ topic }) => read.has(topic) && topic !== graph.planTopic.name,
  );
  const layers = new Map(graph.topics.map(({ name, layer }) => [name, layer]));
  return {
    inputs: Object.fromEntries(
      known
        .filter(({ writer }) => writer === '')
        .map(({ topic, partition }) => {
          const name = `${topic}/${partition}`;
          return [name, firstResume(name, layers.get(topic) ?? 'raw', genesis)];
        }),
    ),
    // A version that began at a cut folds nothing of a derived topic that was before it.
    channels:
      before?.cut === null
        ? Object.fromEntries(
            known
              .filter(({ writer }) => writer !== '')
              .map((channel) => [channelName(channel), { sequence: 0, digest: 0 }]),
          )
        : {},
  };
}
