/**
 * Runs a whole topology in memory, synchronously, on the code of the engine: for tests of processors and rules. No Kafka,
 * no promises; log time is moved by hand. What Kafka Streams calls TopologyTestDriver. `ops/testing.md` shows how.
 *
 *     const driver = createDriver({ processors: [countTrades] });
 *     driver.write(marketTrades, { key: 'ETHUSDT', value: trade, atMs: 1_000 });
 *     driver.advanceTo(2_000); // a record is folded once nothing earlier can follow
 *     expect(driver.values(tradeCounts)).toEqual([{ symbol: 'ETHUSDT', count: 1 }]);
 */
import { PipelineError } from '#pipeline/errors.ts';
import { channelName } from '#pipeline/merge/channel.ts';
import { buildGraph } from '#pipeline/runtime/graph.ts';
import { partitionOf } from '#pipeline/runtime/partitioner.ts';
import { type FoundStore, findStore } from '#pipeline/runtime/state-view.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import { deadLetter } from '#schemas/dead-letter.ts';
import { plan } from '#schemas/plan.ts';
import type { Topic } from '#schemas/topics.ts';
import type { Driver, DriverOptions, DriverRecord } from './driver/contract.ts';
import { createEngine } from './driver/engine.ts';
import { openHandle, readEntries } from './driver/reader.ts';
import { strictProcessor, strictSerde } from './driver/strict.ts';
import { createUpstreams } from './driver/upstream.ts';

const PLAN: Topic = { name: 'plan.v1', layer: 'plan', key: 'kind', schema: plan, partitions: 1 };
const DLQ: Topic<typeof deadLetter> = {
  name: 'dlq.v1',
  layer: 'derived',
  key: 'origin topic',
  schema: deadLetter,
  partitions: 1,
};

/** Opens a driver. Throws GRAPH_INVALID, as the engine does at its start. */
export function createDriver(options: DriverOptions): Driver {
  const { planTopic = PLAN, dlqTopic = DLQ, strict: isStrict = true } = options;
  const upstreams = createUpstreams(options.processors, dlqTopic);
  const own = isStrict ? options.processors.map(strictProcessor) : options.processors;
  const graph = buildGraph({
    processors: [...[...upstreams.values()].map(({ processor }) => processor), ...own],
    names: options.names ?? {},
    planTopic,
    dlqTopic,
  });
  const serde = localSerde(graph.topics);
  const engine = createEngine({
    graph,
    serde: isStrict ? strictSerde(serde) : serde,
    startMs: options.startMs ?? 0,
    appendTimeMs: options.appendTimeMs ?? ((_topic, _partition, nowMs) => nowMs),
    isStrict,
  });
  const { log, streams, tasks } = engine;
  const layers = new Map(graph.topics.map(({ name, layer }) => [name, layer]));

  const tasksOf = (name: string) => {
    const found = name === 'all' ? tasks : tasks.filter((task) => task.name === name);
    if (found.length > 0) return found;
    throw misuse(
      `${name}: expected a task or all, found none; there are ${list(tasks.map((task) => task.name))}`,
    );
  };
  const tasksWith = ({ subTopology }: FoundStore) =>
    tasks.filter((task) => task.id.subTopology === subTopology);
  const read = <S extends RecordSchema>(topic: Topic<S>): readonly DriverRecord<ValueOf<S>>[] => {
    if (layers.get(topic.name) !== 'derived')
      throw misuse(
        `${topic.name}: expected a topic that tasks write, found ${layers.get(topic.name) ?? 'none'}`,
      );
    return streams.ofTopic(topic.name).map(({ partition, writer, sequence, record }) => ({
      key: record.key?.toString() ?? '',
      value: serde.decode(topic, record.value ?? Buffer.alloc(0)),
      logTimeMs: record.timestampMs,
      partition,
      writer,
      sequence,
    }));
  };
  const values: Driver['values'] = (topic) => read(topic).map(({ value }) => value);
  const advanceTo = (ms: number): void => {
    engine.moveTo(ms);
    engine.tick();
    engine.settle();
  };

  const write: Driver['write'] = (topic, input) => {
    const upstream = upstreams.get(topic.name);
    const target: Topic = upstream?.source ?? topic;
    const layer = layers.get(target.name);
    if (layer === undefined || layer === 'derived')
      throw misuse(
        `${topic.name}: expected a topic that is read and that no task writes, found ${layer === undefined ? 'none that is read' : 'one that a task writes'}`,
      );
    if (upstream !== undefined && (input.partition !== undefined || 'bytes' in input || input.value === null))
      throw misuse(`${topic.name}: tasks write it: expected a value, whose partition follows from its key`);
    const key = Buffer.from(input.key);
    const partition = input.partition ?? partitionOf(key, target.partitions);
    const value =
      'bytes' in input ? input.bytes : input.value === null ? null : serde.encode(target, input.value);
    engine.moveTo(input.atMs ?? engine.nowMs);
    const { offset } = log.append(target.name, partition, {
      timestampMs: engine.nowMs,
      key,
      value,
      headers: [],
    });
    engine.settle();
    return upstream?.nextPlace(input.key) ?? `${topic.name}/${partition}/${offset}`;
  };

  engine.settle();
  return {
    graph,
    tasks: tasks.map(({ name }) => name),
    get nowMs() {
      return engine.nowMs;
    },
    write,
    advanceTo,
    advanceBy: (ms) => advanceTo(engine.nowMs + ms),
    read,
    values,
    deadLetters: () => values(dlqTopic),
    store: <V>(name: string, key: string) => {
      const found = findStore(graph, name);
      for (const task of tasksWith(found)) {
        const handle = openHandle(found, task, engine.nowMs);
        if (!hasGet(handle)) throw misuse(`${name}: its kind has no get(key); use handle or entries`);
        const value = handle.get(key);
        // The caller knows what the store holds.
        if (value !== undefined) return value as V;
      }
      return undefined;
    },
    handle: <Handle>(name: string, partition = 0) => {
      const found = findStore(graph, name);
      const task = tasksWith(found)[partition];
      if (task === undefined) throw misuse(`${name}: expected a partition of it, found ${partition}`);
      // The caller knows what the store is.
      return openHandle(found, task, engine.nowMs) as Handle;
    },
    entries: (name) => {
      const found = findStore(graph, name);
      return tasksWith(found).flatMap((task) => readEntries(found, task));
    },
    timers: () =>
      tasks.flatMap(({ name, task }) =>
        task.state.timers.all().map(({ processor, store, time, key, atMs }) => ({
          task: name,
          processor,
          store,
          time,
          key,
          atMs,
        })),
      ),
    waits: () =>
      tasks.flatMap(({ name, task }) => {
        const blocked = task.blocked();
        return blocked === null
          ? []
          : [{ task: name, logTimeMs: blocked.logTimeMs, on: channelName(blocked.channel) }];
      }),
    halted: () =>
      tasks.flatMap(({ name, task }) =>
        task.halted === null ? [] : [{ task: name, reason: task.halted.message }],
      ),
    count: engine.metrics.count,
    checkpoint: (task = 'all') => {
      for (const one of tasksOf(task)) one.checkpoint('local');
      engine.settle();
    },
    crash: (task, { after = 'nothing', keepsDisk = true } = {}) => {
      const lost = tasksOf(task);
      for (const one of lost) one.checkpoint(after);
      for (const one of lost) one.reopen(keepsDisk);
      engine.settle();
    },
    hold: (task) => {
      for (const one of tasksOf(task)) one.isHeld = true;
    },
    release: (task) => {
      for (const one of tasksOf(task)) one.isHeld = false;
      engine.settle();
    },
    redeliver: ({ name }, { partition, fromOffset = 0, count = Number.POSITIVE_INFINITY } = {}) => {
      const partitions =
        graph.engineTopics.get(name)?.partitions ??
        graph.topics.find((one) => one.name === name && one.layer === 'derived')?.partitions;
      if (partitions === undefined)
        throw misuse(
          `${name}: expected a topic that tasks write; write a raw record again, it is another one`,
        );
      for (const one of partition === undefined ? Array(partitions).keys() : [partition]) {
        for (const record of log.records(name, one).slice(fromOffset, fromOffset + count))
          log.append(name, one, record);
      }
      engine.settle();
    },
    streams: streams.lines,
  };
}

const misuse = (message: string): PipelineError => new PipelineError('INVARIANT_BROKEN', message);

const list = (names: readonly string[]): string => names.join(', ') || 'none';

const hasGet = (handle: unknown): handle is { get(key: string): unknown } =>
  typeof handle === 'object' &&
  handle !== null &&
  'get' in handle &&
  typeof handle.get === 'function' &&
  handle.get.length === 1;
