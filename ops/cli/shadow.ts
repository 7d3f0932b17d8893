/** The live code over the raw records that are there, into topics of its own: for replays and their comparison. */
import type { Clock } from '#pipeline/clock.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { fingerprint } from '#pipeline/runtime/fingerprint.ts';
import type { HopMode } from '#pipeline/runtime/hop.ts';
import type { Limits } from '#pipeline/runtime/limits.ts';
import type { OpenState } from '#pipeline/runtime/open-task.ts';
import { type Genesis, openPlan } from '#pipeline/runtime/plan.ts';
import { type Processing, startProcessing } from '#pipeline/runtime/processing.ts';
import { readToEnd } from '#pipeline/runtime/read-topic.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { openSerde, type Serde } from '#pipeline/serde/serde.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { planTopic } from '#schemas/topics.ts';
import { allTopics, graph } from '#topology/graph.ts';
import { LOGIC_FOLDERS, physicalTopics } from '#topology/main.ts';
import { compareTopics, type StreamComparison } from './compare.ts';

/** Topics whose content follows from the others. */
const derived = allTopics.filter(({ layer }) => layer === 'derived');

export interface ShadowStream extends StreamComparison {
  readonly topic: string;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly isFolded: boolean;
}

export interface Shadow {
  readonly processing: Processing;
  /** What was there when it started: end of each raw and fact partition. */
  readonly ends: ReadonlyMap<string, number>;
  /** How many raw and fact records that were there are folded here, and whether all that was there is. */
  progress(): Promise<Progress>;
  /** Resolves when everything that was there is folded, and rejects when processing cannot go on. */
  finished(onProgress: (done: number, total: number) => void): Promise<void>;
}

/** Own topics begin with `prefix`; raw topics, facts and the plan are those of the live pipeline. */
export const shadowNames = (prefix: string): ((topic: string) => string) => {
  const own = new Set([...derived.map(({ name }) => name), ...graph.engineTopics.keys()]);
  return (topic) => (own.has(topic) ? prefix + topic : topic);
};

export async function openShadow(options: {
  kafka: Kafka;
  registryUrl: string;
  prefix: string;
  clock: Clock;
  log: Log;
  openState: OpenState;
  instance: string;
  hasChangelog: boolean;
  limits?: Partial<Limits>;
  hop?: HopMode;
}): Promise<Shadow> {
  const { genesis, serde, physicalName, ends, untilMs } = await prepareShadow(options);
  const processing = await startProcessing({
    ...options,
    graph,
    genesis,
    serde,
    metrics: createMetrics(),
    physicalName,
    lagGroup: null,
  });
  const progress = () => progressOf(processing, ends, untilMs);
  return {
    processing,
    ends,
    progress,
    finished: (onProgress) =>
      Promise.race([
        untilFolded(progress, options.clock, onProgress),
        processing.failed.then((error) => Promise.reject(error)),
      ]),
  };
}

/** What a shadow begins with: its topics are there, and what it has to fold is known. */
export interface PreparedShadow {
  readonly genesis: Genesis;
  readonly serde: Serde;
  readonly physicalName: (topic: string) => string;
  /** What is there: end of each raw and fact partition, and the greatest log time in them. */
  readonly ends: ReadonlyMap<string, number>;
  readonly untilMs: number;
}

export async function prepareShadow(options: {
  kafka: Kafka;
  registryUrl: string;
  prefix: string;
  clock: Clock;
}): Promise<PreparedShadow> {
  const { kafka, registryUrl, clock } = options;
  const physicalName = shadowNames(options.prefix);
  const admin = kafka.admin();
  await ensureTopics(admin, physicalTopics(physicalName)).finally(() => admin.close());
  const serde = await openSerde({ registryUrl, topics: allTopics });
  const version = await fingerprint({ graph, folders: LOGIC_FOLDERS });
  const plan = {
    ...{ kafka, serde, graph, topic: planTopic, physicalName, fingerprint: version, clock },
    // One version over the whole log, whatever was cut since.
    fromGenesis: true,
  };
  const genesis = await openPlan(plan);
  return { genesis, serde, physicalName, ...(await presentEnd(kafka)) };
}

/** Live streams against those of a shadow, up to the last raw record; and the shadow's topics away, unless they stay. */
export async function compareShadow(
  kafka: Kafka,
  prefix: string,
  keep: boolean,
): Promise<readonly ShadowStream[]> {
  const physicalName = shadowNames(prefix);
  const { untilMs } = await presentEnd(kafka);
  const compared: ShadowStream[] = [];
  for (const { name } of derived) {
    const streams = await compareTopics(kafka, name, physicalName(name), untilMs);
    compared.push(...streams.map((stream) => ({ topic: name, ...stream })));
  }
  if (keep) return compared;
  const admin = kafka.admin();
  const own = [...derived.map(({ name }) => name), ...graph.engineTopics.keys()];
  await admin.deleteTopics(own.map(physicalName)).finally(() => admin.close());
  return compared;
}

/** Ends of raw and fact partitions now, and the greatest log time in them. */
async function presentEnd(kafka: Kafka) {
  const admin = kafka.admin();
  const ends = new Map<string, number>();
  let untilMs = 0;
  try {
    for (const { name, layer } of allTopics) {
      if (layer !== 'raw' && layer !== 'fact') continue;
      for (const { partition, end } of await admin.offsets(name)) ends.set(`${name}/${partition}`, end);
      for await (const { record } of readToEnd(kafka, name)) untilMs = Math.max(untilMs, record.timestampMs);
    }
  } finally {
    await admin.close();
  }
  return { ends, untilMs };
}

async function progressOf(
  processing: Processing,
  ends: ReadonlyMap<string, number>,
  untilMs: number,
): Promise<Progress> {
  const total = [...ends.values()].reduce((sum, end) => sum + end, 0);
  let done = 0;
  for (const [name, end] of ends) {
    const offsets = processing.tasks
      .flatMap(({ inbounds }) => inbounds)
      .filter(({ topic, partition }) => `${topic}/${partition}` === name)
      .map((inbound) => inbound.resumePoint().offset);
    done += Math.min(end, ...offsets);
  }
  const isPast = processing.tasks.every(({ boundMs }) => boundMs > untilMs);
  return { done, total, isFolded: done >= total && (isPast || (await processing.isDrained())) };
}

/** Seen twice, a poll apart. */
async function untilFolded(
  progress: () => Promise<Progress>,
  clock: Clock,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  for (let seen = 0; seen < 2; ) {
    await clock.sleep(200);
    const { done, total, isFolded } = await progress();
    onProgress(done, total);
    seen = isFolded ? seen + 1 : 0;
  }
}
