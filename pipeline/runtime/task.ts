/** A task: one sub-topology x one partition number. The way of one record: `accept` -> merge -> fold -> outputs. */
import type { Clock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { KafkaRecord, Producer } from '#pipeline/kafka/types.ts';
import {
  type Channel,
  channelName,
  channelPoint,
  type Pending,
  partitionOf,
  resumeChannel,
} from '#pipeline/merge/channel.ts';
import { acceptTick, type Inbound } from '#pipeline/merge/inbound.ts';
import { type Blocked, Merge } from '#pipeline/merge/merge.ts';
import { writerName } from '#pipeline/merge/position.ts';
import { watchTails } from '#pipeline/merge/tails.ts';
import { contentsToBegin, excludedHere, knownFingerprints } from '#pipeline/plan/beginning.ts';
import { decodeDecision } from '#pipeline/plan/decisions.ts';
import { heed } from '#pipeline/plan/heed.ts';
import { isCutTo } from '#pipeline/plan/versions.ts';
import { Gate, type Marker } from '#pipeline/poison/gate.ts';
import type { Skip } from '#pipeline/poison/skips.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { StateBackend } from '#pipeline/state/backend.ts';
import { createTaskState, META_KEY, type TaskState } from '#pipeline/state/task-state.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { Topic } from '#schemas/topics.ts';
import { type CheckpointContents, readCheckpoint } from './checkpoint.ts';
import { createFold, FoldFailure } from './fold.ts';
import type { Graph, GraphNode, TaskId } from './graph.ts';
import type { Door, Hop } from './hop.ts';
import type { Limits } from './limits.ts';
import { type ControlTick, createOutputs, type Outputs } from './outputs.ts';
import type { Genesis } from './plan.ts';
import { createInbounds, excludedInputs, unreadPoints } from './task-inbounds.ts';

export interface TaskOptions {
  readonly id: TaskId;
  readonly graph: Graph;
  readonly node: GraphNode;
  readonly genesis: Genesis;
  readonly serde: Serde;
  readonly producer: Pick<Producer, 'append'>;
  readonly backend: Pick<StateBackend, 'get'>;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly maxRecordBytes: number;
  readonly limits: Limits;
  /** Logical to physical topic name: a shadow run or a test puts a prefix before it. */
  readonly physicalName: (topic: string) => string;
  /** Tasks of the same process; default none. */
  readonly hop?: Hop;
  /** What the plan passes over, as far as it was read; more comes through the plan as an input. */
  readonly skips?: readonly Skip[];
}

export interface Task {
  readonly id: TaskId;
  readonly writer: string;
  readonly inbounds: readonly Inbound[];
  readonly state: TaskState;
  readonly outputs: Outputs;
  /** Records folded and timers fired since genesis. */
  readonly step: number;
  /** Log time of the last of them. */
  readonly logTimeMs: number;
  /** Records that wait in the merge. */
  readonly waiting: number;
  /** Why it stays before its next record, as a declaration asks (`onError: stop`); null: it does not. */
  readonly halted: FoldFailure | null;
  /** It came to the cut at which the next version begins, and stays there; null: it did not. */
  readonly ended: Ended | null;
  /** Nothing with a lower log time will be folded or written from now on. */
  readonly boundMs: number;
  accept(topic: string, partition: number, records: readonly KafkaRecord[]): void;
  acceptControl(tick: ControlTick): void;
  /** Where it takes in what others hand over in memory; one for each of its derived channels. */
  readonly doors: readonly Door[];
  /** Folds at most `limit` records and timers; returns how many. */
  work(limit: number): number;
  /** What it waits for; null: nothing waits in it, or it is halted. A timer waits only once the wall clock has reached it. */
  blocked(): Blocked | null;
  /** Whom it must hear of before it can promise more; null: what it has is enough, or it is halted or at its end. */
  readonly slowest: Channel | null;
  /** Passes progress on to readers in this process, at no cost in Kafka. False: there was none, or nobody was told. */
  promise(): boolean;
  /** There is progress that `emitTick` would pass on. */
  readonly owesTick: boolean;
  /** Passes progress on when there is some, or when `repeat` asks for it once more (for readers that started later). */
  emitTick(repeat: boolean): void;
  /** Channels whose writer has long said, or shown in memory, that it wrote more than was seen. To be called now and then. */
  lateTails(): readonly Channel[];
  contents(): CheckpointContents;
  /** The plan passes over something. Throws STREAM_FORKED when it was folded here. */
  learn(skip: Skip): void;
  /** Marks each step before it is folded; null: no more. */
  mark(marker: Marker | null): void;
  /** Steps are marked. */
  readonly isMarked: boolean;
}

/** The end of a version of a task. */
export interface Ended {
  /** Of the version that goes on from here. */
  readonly epoch: number;
  /** Log time of the cut. */
  readonly atMs: number;
}

const TAIL_LIMIT_MS = 60_000;

export function createTask(options: TaskOptions): Task {
  const { id, graph, node, genesis, metrics, clock } = options;
  const state = createTaskState(options.backend, options.limits.recentValues);
  const saved = contentsToBegin(
    readCheckpoint(options.backend.get(META_KEY), ...knownFingerprints(genesis)),
    genesis,
    graph.planTopic.name,
  );
  const excluded = excludedHere(genesis);
  const channels = graph.channels(id).filter((channel) => !excluded.has(partitionOf(channel)));
  const unread = unreadPoints(saved, channels);
  for (const channel of channels) {
    resumeChannel(channel, saved?.channels[channelName(channel)] ?? null);
  }
  const inbounds = createInbounds(channels, graph, genesis, saved, options.limits.maxWaitingBytes);
  const merge = new Merge(channels, saved?.lastKey ?? { logTimeMs: -1, rank: -1, order: -1 });
  const writer = writerName(id.subTopology, id.partition);
  const route = options.hop?.from(writer);
  const outputs = createOutputs({
    ...options,
    route,
    task: id,
    epoch: genesis.epoch,
    controlTopic: node.controlTopic,
    destinations: new Map(Object.entries(saved?.destinations ?? {})),
  });
  let step = saved?.step ?? 0;
  const gate = new Gate({
    writer,
    isLive: genesis.versions !== undefined,
    skipped: saved?.skipped ?? [],
    at: () => ({ step, sequences: sequencesOf(outputs) }),
  });
  for (const skip of options.skips ?? []) gate.learn(skip);
  const epoch = genesis.versions === undefined ? null : genesis.epoch;
  const heeding = { serde: options.serde, topic: graph.planTopic, writer, epoch, gate };
  const fold = createFold({
    ...options,
    task: id,
    dlqTopic: graph.dlqTopic,
    state,
    outputs,
    streamTimes: saved?.streamTimes ?? {},
    gate,
  });
  const inboundOf = new Map(inbounds.map((inbound) => [partitionOf(inbound), inbound]));
  const sourceOf = new Map(channels.map((channel) => [channel, findSource(channel, graph, inboundOf)]));
  const lateTails = watchTails(channels, TAIL_LIMIT_MS);
  const byWriter = Map.groupBy(channels, ({ writer }) => writer);
  let logTimeMs = saved?.logTimeMs ?? 0;
  let tickedMs = 0;
  let promisedMs = 0;
  /** Handed over in memory since the last report: taken, and left to Kafka. */
  let [taken, ignored] = [0, 0];
  let isMarked = false;
  /** Highest version of a writer that was heard. */
  let heardOf = 0;
  let halted: FoldFailure | null = null;
  let ended: Ended | null =
    saved?.nextEpoch === undefined || saved.nextEpoch === genesis.epoch
      ? null
      : { epoch: saved.nextEpoch, atMs: saved.logTimeMs };
  const [planChannel] = channels;
  const labels = { subtopology: id.subTopology };

  /** Who hears of the progress of a later version, before it comes to its end itself, is left over from a forced cut. */
  const checkOrder = (channel: Channel, record: Pending): void => {
    try {
      merge.check(channel, record);
    } catch (error) {
      throw heardOf > genesis.epoch ? overtaken(channelName(channel), heardOf, error) : error;
    }
  };

  /** Folds the next record, or fires the timer that comes before it. False: nothing can be taken yet. */
  const foldNext = (): boolean => {
    const { channel, timeMs } = merge.least();
    // A timer comes before any record of its time or later, once nothing earlier can follow.
    if (state.timers.nextLogMs <= timeMs) {
      const timer = state.timers.takeLog();
      if (timer === null) return false;
      logTimeMs = Math.max(logTimeMs, timer.atMs);
      fold.timer(timer, logTimeMs);
      return true;
    }
    const record = channel.queue.first;
    if (record === undefined) return false;
    checkOrder(channel, record);
    const source = sourceOf.get(channel);
    if (source === undefined) throw new PipelineError('INVARIANT_BROKEN', `no input ${channelName(channel)}`);
    const { topic, inbound } = source;
    // A raw record's order is its offset.
    const place = `${source.prefix}${record.order}`;
    if (record.order >= channel.laterFrom) throw tooEarly(place, genesis.epoch);
    if (channel === planChannel) decide(record, place);
    else fold.record({ topic, key: record.key, value: record.value, logTimeMs: record.logTimeMs, place });
    merge.take(channel, record);
    inbound.release((record.key?.length ?? 0) + (record.value?.length ?? 0));
    logTimeMs = record.logTimeMs;
    return true;
  };

  /** A cut is the last step of this version: what comes after it is folded by the next one. */
  const decide = ({ value, logTimeMs: atMs }: Pending, place: string): void => {
    if (value === null) return;
    const decision = decodeDecision(options.serde, graph.planTopic, value, place);
    if (genesis.versions !== undefined && isCutTo(decision, genesis)) ended = { epoch: decision.epoch, atMs };
  };

  // The next version may write at the time of the cut, whatever this one still sees.
  const boundMs = (): number => ended?.atMs ?? Math.min(merge.bound(), state.timers.nextLogMs);

  const doorOf = (channel: Channel): Door => {
    const destination = partitionOf(channel);
    const inbound = inboundOf.get(destination);
    return {
      writer: channel.writer,
      destination,
      take: (record) => {
        if (halted !== null || ended !== null) return;
        if (inbound?.take(channel, record) === true) taken += 1;
        else ignored += 1;
      },
      promise: (boundMs, sequence) => acceptTick(channel, boundMs, sequence, clock.nowMs()),
    };
  };

  const promise = (boundMs: number): boolean => {
    promisedMs = Math.max(promisedMs, boundMs);
    return route?.promise(promisedMs, (name) => outputs.destinations.get(name)?.sequence ?? 0) ?? false;
  };

  /** All of it or nothing: what one record or timer does to state and outputs. */
  const foldWhole = (): boolean => {
    const timeBefore = logTimeMs;
    try {
      if (!foldNext()) return false;
    } catch (error) {
      state.rollback(0);
      outputs.rollback();
      logTimeMs = timeBefore;
      gate.leave(false);
      if (!(error instanceof FoldFailure) || error.mode === 'fail') throw error;
      halted = error;
      return false;
    }
    state.commit();
    outputs.flush();
    if (gate.isActive) gate.leave(true);
    step += 1;
    return true;
  };

  return {
    id,
    writer,
    inbounds,
    state,
    outputs,
    get step() {
      return step;
    },
    get logTimeMs() {
      return logTimeMs;
    },
    get waiting() {
      return merge.waiting;
    },
    get halted() {
      return halted;
    },
    get ended() {
      return ended;
    },
    get boundMs() {
      return boundMs();
    },
    get owesTick() {
      return boundMs() > tickedMs;
    },
    accept: (topic, partition, records) => {
      const inbound = inboundOf.get(`${topic}/${partition}`);
      // Halted for good: what it would take in lies in Kafka for the next start, and would only fill the memory here.
      if (inbound === undefined || halted !== null || ended !== null) return;
      // Before its turn comes: what it passes over may lie before it.
      if (topic === graph.planTopic.name) heed(records, heeding);
      let duplicates = 0;
      for (const record of records) if (inbound.accept(record)) duplicates += 1;
      if (duplicates > 0) metrics.add('duplicates_dropped_total', { where: 'position' }, duplicates);
    },
    acceptControl: (tick) => {
      heardOf = Math.max(heardOf, tick.epoch);
      for (const channel of byWriter.get(tick.writer) ?? []) {
        const sequence = tick.sequences[partitionOf(channel)] ?? 0;
        acceptTick(channel, tick.logTimeMs, sequence, clock.nowMs());
      }
    },
    doors: channels.filter(({ writer }) => writer !== '').map(doorOf),
    work: (limit) => {
      let count = 0;
      const startedMs = metrics.timeMs();
      while (count < limit && halted === null && ended === null && foldWhole()) count += 1;
      if (count > 0) {
        metrics.add('process_records_total', labels, count);
        for (const [topic, records] of outputs.takeCounts())
          metrics.add('produced_records_total', { topic }, records);
        metrics.observe('process_latency_seconds', labels, (metrics.timeMs() - startedMs) / 1_000 / count);
      }
      if (taken > 0) metrics.add('hop_taken_records_total', labels, taken);
      if (ignored > 0) metrics.add('hop_ignored_records_total', labels, ignored);
      [taken, ignored] = [0, 0];
      return count;
    },
    blocked: () => {
      if (halted !== null || ended !== null) return null;
      const blocked = merge.blocked();
      const timerMs = state.timers.nextLogMs;
      if (timerMs > clock.nowMs() || (blocked !== null && blocked.logTimeMs < timerMs)) return blocked;
      // A frontier at the timer's own time is enough to fire it.
      return { logTimeMs: timerMs - 1, channel: merge.least().channel };
    },
    get slowest() {
      if (halted !== null || ended !== null) return null;
      const { channel, timeMs } = merge.least();
      return channel.queue.first === undefined && timeMs < state.timers.nextLogMs ? channel : null;
    },
    promise: () => boundMs() > promisedMs && promise(boundMs()),
    emitTick: (repeat) => {
      const bound = boundMs();
      if (repeat && bound > 0) promise(bound);
      if (bound <= tickedMs && !(repeat && bound > 0)) return;
      tickedMs = Math.max(tickedMs, bound);
      outputs.tick(tickedMs);
      metrics.add('ticks_total', { kind: 'derived' });
    },
    lateTails: () => lateTails(clock.nowMs()),
    contents: () => ({
      fingerprint: genesis.fingerprint,
      epoch: genesis.epoch,
      ...(ended === null ? {} : { nextEpoch: ended.epoch }),
      step,
      logTimeMs,
      lastKey: merge.lastKey,
      inputs: {
        ...excludedInputs(saved, excluded),
        ...Object.fromEntries(inbounds.map((inbound) => [partitionOf(inbound), inbound.resumePoint()])),
      },
      channels: {
        ...unread,
        ...Object.fromEntries(channels.map((channel) => [channelName(channel), channelPoint(channel)])),
      },
      destinations: Object.fromEntries([...outputs.destinations].map(([name, last]) => [name, { ...last }])),
      streamTimes: fold.streamTimes(),
      ...(gate.skipped.length === 0 ? {} : { skipped: gate.skipped }),
    }),
    learn: (skip) => gate.learn(skip),
    mark: (marker) => {
      isMarked = marker !== null;
      gate.mark(marker);
    },
    get isMarked() {
      return isMarked;
    },
  };
}

const sequencesOf = ({ destinations }: Outputs): Readonly<Record<string, number>> =>
  Object.fromEntries([...destinations].map(([name, { sequence }]) => [name, sequence]));

/** Where the records of a channel come from. */
interface Source {
  readonly topic: Topic;
  readonly inbound: Inbound;
  /** Of the places of its records. */
  readonly prefix: string;
}

function findSource(channel: Channel, graph: Graph, inboundOf: ReadonlyMap<string, Inbound>): Source {
  const partition = partitionOf(channel);
  const topic = graph.topics.find(({ name }) => name === channel.topic);
  const inbound = inboundOf.get(partition);
  if (topic === undefined || inbound === undefined)
    throw new PipelineError('INVARIANT_BROKEN', `no input ${partition}`);
  return { topic, inbound, prefix: `${partition}/${channel.writer === '' ? '' : `${channel.writer}:`}` };
}

const overtaken = (channel: string, epoch: number, cause: unknown): PipelineError =>
  new PipelineError(
    'EPOCH_CLOSED',
    `${channel}: version ${epoch} has gone on from here while this one was behind: the cut to it was forced; start version ${epoch}`,
    { cause },
  );

const tooEarly = (place: string, epoch: number): PipelineError =>
  new PipelineError(
    'EPOCH_CLOSED',
    `${place}: a later version than ${epoch} wrote it, and the plan does not say where it begins; is the plan the one of these topics?`,
  );
