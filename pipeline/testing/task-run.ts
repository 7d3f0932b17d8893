/** One task over a small log of two raw partitions, with restarts and checkpoints that are given up: for tests of the engine. */
import type { Entry, KafkaRecord } from '#pipeline/kafka/types.ts';
import { TICK_HEADERS } from '#pipeline/merge/position.ts';
import { defineProcessor, type ErrorPolicy, keyed, type ProcessorDefinition } from '#pipeline/processor.ts';
import { type ChangelogWriter, checkpoint } from '#pipeline/runtime/checkpoint.ts';
import { buildGraph } from '#pipeline/runtime/graph.ts';
import { DEFAULT_LIMITS } from '#pipeline/runtime/limits.ts';
import { readControlTick } from '#pipeline/runtime/outputs.ts';
import { createTask, type TaskOptions } from '#pipeline/runtime/task.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { applicable, GroupAssembler, withMeta } from '#pipeline/state/changelog.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { eventTimer, logTimer } from '#pipeline/state/timer.ts';
import { silentMetrics } from '#pipeline/telemetry/metrics.ts';
import type { Price, price } from '#schemas/price.ts';
import type { Topic } from '#schemas/topics.ts';
import { aPrice, dlq, first, plan, raw, topic } from './fold-run.ts';

/** The other raw topic; after `raw` in the order of channels. */
export const side = topic('side', 'raw');

const stores = { counts: keyValue<number>(), due: logTimer(), seen: eventTimer() };

/**
 * Passes records on. The price is when a timer is due, relative to the record, if it is not 0; the id `bad` throws after it
 * has done everything else.
 */
export const relay = (
  onError: Partial<ErrorPolicy> = {},
  isFixed = false,
): ProcessorDefinition<typeof stores> => {
  const handle: Parameters<typeof keyed<typeof price, typeof stores>>[1] = (record, context) => {
    const { value, logTimeMs } = record;
    if (value === null) return;
    const { counts, due, seen } = context.stores;
    const count = (counts.get('all') ?? 0) + 1;
    counts.put('all', count);
    context.emit(first, 'ETH', aPrice(`${value.id} is ${count}`));
    if (value.usd !== '0') due.set(value.id, logTimeMs + Number(value.usd));
    seen.set(value.id, value.eventTimeMs + 1_000);
    if (value.id === 'bad' && !isFixed) throw new Error('bad');
  };
  return defineProcessor({
    name: 'relay',
    summary: 'passes on',
    stores,
    onError,
    inputs: [keyed(raw, handle), keyed(side, handle)],
    onTimer: {
      due: ({ key, atMs }, { emit, logTimeMs }) =>
        emit(first, 'ETH', aPrice(`${key} due ${atMs} at ${logTimeMs}`)),
    },
    outputs: [first],
  });
};
/** No timer. */
export const NONE = { usd: '0' };

export type Stage = 'outputs' | 'changelog' | 'local';

export interface Written extends Entry {
  readonly topic: string;
  readonly partition: number;
}

/** A log that several starts of the task read, one after the other or at once. */
export function createTaskWorld(processors: readonly ProcessorDefinition[]) {
  const graph = buildGraph({ processors, planTopic: plan, dlqTopic: dlq });
  const [node] = graph.nodes;
  if (node === undefined) throw new Error('expected processors');
  const serde = localSerde(graph.topics);
  const logs = new Map<string, KafkaRecord[]>([plan, raw, side].map(({ name }) => [name, []]));
  const changelog: KafkaRecord[] = [];
  const written: Written[] = [];
  let instances = 0;

  const append = (
    to: Topic,
    timestampMs: number,
    rest: Omit<KafkaRecord, 'offset' | 'timestampMs'>,
  ): void => {
    const log = logs.get(to.name);
    log?.push({ offset: log.length, timestampMs, ...rest });
  };

  /** What the changelog alone leads to. */
  const restored = (): Map<string, string> => {
    const entries = new Map<string, string>();
    const backend = createMemoryBackend(entries);
    const groups = new GroupAssembler();
    let step = 0;
    for (const record of changelog) {
      const group = groups.add(record, 'changelog');
      if (group === null || applicable(group, step) !== 'apply') continue;
      backend.writeNow(withMeta(group));
      step = group.to;
    }
    return entries;
  };

  /** Starts the task over what its disk holds. Several may run at once, as copies do. */
  const start = (
    disk: Map<string, string> = new Map(),
    nowMs = () => 0,
    more: Partial<Pick<TaskOptions, 'skips' | 'genesis'>> = {},
  ) => {
    instances += 1;
    const backend = createMemoryBackend(disk);
    const task = createTask({
      id: { subTopology: node.name, partition: 0 },
      graph,
      node,
      genesis: { fingerprint: 'one', epoch: 1, startOffsets: new Map() },
      serde,
      producer: { append: (name, partition, entry) => written.push({ ...entry, topic: name, partition }) },
      backend,
      metrics: silentMetrics,
      clock: { nowMs, sleep: async () => {}, every: () => () => {}, soon: () => {} },
      maxRecordBytes: 10_000,
      limits: { ...DEFAULT_LIMITS, recentValues: 2 },
      physicalName: (name) => name,
      ...more,
    });
    for (const { first: from, end, foundLast } of task.state.ranges)
      foundLast(backend.scanNow(from, end).at(-1)?.[0] ?? null);
    for (const { first: from, end, load } of task.state.loaders)
      for (const [key, text] of backend.scanNow(from, end)) load(key, text);
    const log: ChangelogWriter = {
      topic: node.changelogTopic,
      producer: {
        append: (_topic, _partition, entry) => changelog.push({ ...entry, offset: changelog.length }),
      },
      instance: `start-${instances}`,
      lastStep: task.step,
      groups: 0,
      bytesSinceSnapshot: 0,
      maxRecordBytes: 60,
    };
    return {
      task,
      disk,
      log,
      /** Hands over what is in the log, up to `limit` records of each partition. */
      deliver: (limit = Number.POSITIVE_INFINITY) => {
        for (const { topic: name, partition, nextOffset } of task.inbounds) {
          const records = logs.get(name)?.slice(nextOffset, nextOffset + limit) ?? [];
          task.accept(name, partition, records);
        }
      },
      work: (limit = 1_000) => task.work(limit),
      /** Takes a checkpoint, or gives it up once `until` has come true. Returns the stages that came true. */
      checkpoint: (until: Stage | 'capture' | 'end' = 'end'): readonly Stage[] => {
        const done: Stage[] = [];
        const stages = checkpoint(task, log);
        let next = stages.next();
        if (until === 'capture') return done;
        for (; next.done !== true; next = stages.next()) {
          const stage = next.value;
          if (stage.wait === 'written') {
            backend.writeNow(stage.operations);
            for (const [from, end] of stage.dropped) {
              for (const [key] of backend.scanNow(from, end)) disk.delete(key);
            }
          }
          done.push(stage.name);
          if (stage.name === until) return done;
        }
        return done;
      },
    };
  };

  return {
    changelog,
    written,
    restored,
    start,
    controlTopic: node.controlTopic,
    /** Appends to `raw` or `side`. */
    write: (
      to: Topic<typeof price>,
      atMs: number,
      value: Partial<Price> & { readonly id: string },
      key = 'ETH',
    ) =>
      append(to, atMs, {
        key: Buffer.from(key),
        value: serde.encode(to, { ...aPrice(value.id), ...value }),
        headers: [],
      }),
    /** What a partition holds. */
    records: (of: Topic): readonly KafkaRecord[] => logs.get(of.name) ?? [],
    /** Bytes that are no value. */
    writeBroken: (to: Topic, atMs: number) =>
      append(to, atMs, { key: Buffer.from('ETH'), value: Buffer.from('?'), headers: [] }),
    /** Readers append one to each partition that is named; default all. */
    tick: (atMs: number, ...to: readonly Topic[]) => {
      for (const one of to.length > 0 ? to : [plan, raw, side])
        append(one, atMs, { key: null, value: null, headers: TICK_HEADERS });
    },
    /** Ids and log times that were written to `first`, in order. */
    outputs: () =>
      written
        .filter(({ topic: name }) => name === first.name)
        .map(
          ({ value, timestampMs }) => `${serde.decode(first, value ?? Buffer.alloc(0)).id} @${timestampMs}`,
        ),
    letters: () =>
      written
        .filter(({ topic: name }) => name === dlq.name)
        .map(({ value }) => serde.decode(dlq, value ?? Buffer.alloc(0))),
    /** Log times of the ticks that the task passed on. */
    ticks: () =>
      written
        .filter(({ topic: name }) => name === node.controlTopic)
        .map(({ value }) => readControlTick(value)?.logTimeMs),
  };
}

export type TaskWorld = ReturnType<typeof createTaskWorld>;
export type TaskRun = ReturnType<TaskWorld['start']>;
