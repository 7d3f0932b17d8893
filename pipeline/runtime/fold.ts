/**
 * (state, record or timer) -> (state', output records), through the processors of a task.
 *
 * Each processor handles a record whole or not at all: when it throws, its writes and outputs are forgotten, and its
 * declaration says what becomes of the record. What it emits is encoded here, and handed on at once to the processors
 * of the same task that read it.
 */
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Gate } from '#pipeline/poison/gate.ts';
import type { InputDeclaration, OnError } from '#pipeline/processor.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { TaskState } from '#pipeline/state/task-state.ts';
import type { DueTimer } from '#pipeline/state/timer-queue.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { DeadLetter } from '#schemas/dead-letter.ts';
import type { Topic } from '#schemas/topics.ts';
import type { GraphNode, TaskId } from './graph.ts';
import type { Outputs, Placed } from './outputs.ts';
import { ProcessorRuntime } from './processor-runtime.ts';

export interface FoldInput {
  readonly topic: Topic;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly logTimeMs: number;
  readonly place: string;
}

/** Thrown when a declaration asks for more than a dead letter; the task takes back what the record did. */
export class FoldFailure extends Error {
  readonly mode: Exclude<OnError, 'dead-letter'>;
  readonly place: string;

  constructor(mode: Exclude<OnError, 'dead-letter'>, place: string, cause: unknown) {
    super(`${place}: ${messageOf(cause)}`, { cause });
    this.mode = mode;
    this.place = place;
  }
}

/** The same in every copy and replay. */
const ENDS_THE_PROCESS =
  'expected to be folded, found that each process that folds it ends; the plan passes over it: baleen plan';

interface Step {
  readonly runtime: ProcessorRuntime;
  readonly input: InputDeclaration;
}

export interface Fold {
  record(input: FoldInput): void;
  /** A log timer that is due, at the log time of its outputs. */
  timer(timer: DueTimer, logTimeMs: number): void;
  /** Processor -> its stream time; without those that saw nothing. */
  streamTimes(): Readonly<Record<string, number>>;
}

export function createFold(options: {
  task: TaskId;
  node: GraphNode;
  dlqTopic: Topic;
  serde: Serde;
  state: TaskState;
  outputs: Outputs;
  metrics: Metrics;
  /** Of an earlier checkpoint. */
  streamTimes: Readonly<Record<string, number>>;
  gate: Gate;
}): Fold {
  const { task, node, dlqTopic, serde, state, outputs, metrics, gate } = options;
  const runtimes = new Map<string, ProcessorRuntime>();
  const stepsOf = new Map<string, Step[]>();
  for (const definition of node.processors) {
    const streamTimeMs = options.streamTimes[definition.name] ?? Number.NEGATIVE_INFINITY;
    const runtime = new ProcessorRuntime({ ...options, definition, streamTimeMs });
    runtimes.set(definition.name, runtime);
    for (const input of definition.inputs) {
      const steps = stepsOf.get(input.topic.name) ?? [];
      steps.push({ runtime, input });
      stepsOf.set(input.topic.name, steps);
    }
  }

  const putAside = (
    letter: Omit<DeadLetter, 'id' | 'eventTimeMs'>,
    origin: string,
    logTimeMs: number,
  ): void => {
    metrics.add('dead_letters_total', { component: letter.component, code: letter.code });
    const value: DeadLetter = {
      id: `dlq:${letter.place}:${letter.component}`,
      eventTimeMs: logTimeMs,
      ...letter,
    };
    outputs.write({
      topic: dlqTopic,
      key: Buffer.from(origin),
      value: serde.encode(dlqTopic, value as never),
      logTimeMs,
      headers: [
        ['place', Buffer.from(letter.place)],
        ['component', Buffer.from(letter.component)],
        ['code', Buffer.from(letter.code)],
      ],
    });
  };

  /** True: the plan passes over it, so it is put aside. `processor` empty: as a whole, before it is read. */
  const isPassedOver = (
    processor: string,
    origin: string,
    { place, logTimeMs, key, value }: Omit<FoldInput, 'topic'>,
  ): boolean => {
    if (!gate.enter(processor, place, logTimeMs, key, value)) return false;
    metrics.add('skips_total', { subtopology: node.name });
    const component = processor === '' ? node.name : processor;
    const letter = { place, component, code: 'POISON_SKIPPED', reason: ENDS_THE_PROCESS };
    putAside({ ...letter, key: key?.toString() ?? '', body: Buffer.from(value ?? '') }, origin, logTimeMs);
    return true;
  };

  /** What the declaration says for a failure of `kind`; returns when the record is put aside. */
  const fail = (
    error: unknown,
    kind: 'decode' | 'logic' | 'output',
    steps: readonly Step[],
    input: { readonly origin: string; readonly component: string } & Omit<FoldInput, 'topic'>,
  ): void => {
    // A broken invariant is no failure of the record.
    if (isPipelineError(error) && error.action !== 'dead-letter') throw error;
    const modes = steps.map(({ runtime }) => runtime.definition.onError[kind]);
    if (modes.includes('fail')) throw new FoldFailure('fail', input.place, error);
    if (modes.includes('stop')) throw new FoldFailure('stop', input.place, error);
    const { place, component, origin, logTimeMs } = input;
    const code = isPipelineError(error) ? error.code : 'LOGIC_FAILED';
    const body = Buffer.from(input.value ?? '');
    const key = input.key?.toString() ?? '';
    putAside({ place, component, code, reason: messageOf(error), key, body }, origin, logTimeMs);
  };

  /** Writes what a handler did, and hands it on. */
  const forward = (runtime: ProcessorRuntime, origin: string, key: string, logTimeMs: number): void => {
    const { definition, place, emitted, rejections, duplicates } = runtime;
    if (duplicates > 0) metrics.add('duplicates_dropped_total', { where: definition.name }, duplicates);
    for (const { part, ...rejection } of rejections) {
      putAside(
        { place: `${place}#${part}`, component: definition.name, key, ...rejection },
        origin,
        logTimeMs,
      );
    }
    for (const { topic, key: outputKey, keyText, value, bytes } of emitted) {
      const placed = outputs.write({ topic, key: outputKey, value: bytes, logTimeMs });
      if (definition.keepsKey && topic.partitions === node.partitions) checkKept(definition.name, placed);
      const steps = stepsOf.get(topic.name);
      if (steps === undefined) continue;
      const next = { topic, key: outputKey, value: bytes, logTimeMs, place: outputs.placeOf(placed) };
      for (const step of steps) process(step, next, keyText, value);
    }
  };

  const checkKept = (processor: string, placed: Placed): void => {
    if (placed.partition === task.partition) return;
    throw new PipelineError(
      'INVARIANT_BROKEN',
      `${processor}: declares that it keeps keys, but ${outputs.placeOf(placed)} is of another partition than ${task.partition}; declare keepsKey: false, or emit the key of the input`,
    );
  };

  const fire = (runtime: ProcessorRuntime, timer: DueTimer, logTimeMs: number): void => {
    const { definition, instances, context } = runtime;
    const { store, key, atMs } = timer;
    const place = `${definition.name}/${store}/${key}@${atMs}`;
    const input = { key: Buffer.from(key), value: null, logTimeMs, place };
    if (gate.isActive && isPassedOver(definition.name, definition.name, input)) return;
    const mark = state.mark();
    runtime.begin(place, logTimeMs, null, key);
    try {
      const instance = instances.get(store);
      if (instance?.fired !== undefined) instance.fired(timer);
      else definition.onTimer[store]?.(timer, context);
    } catch (error) {
      state.rollback(mark);
      const kind = runtime.hasFailedOutput ? 'output' : 'logic';
      fail(error, kind, [{ runtime } as Step], {
        ...input,
        origin: definition.name,
        component: definition.name,
      });
      return;
    }
    forward(runtime, definition.name, key, logTimeMs);
  };

  /** Event time moves before the record is handled, so that what it closes is closed for it too. False: it stays. */
  const advance = (runtime: ProcessorRuntime, eventTimeMs: number, logTimeMs: number): boolean => {
    if (eventTimeMs <= runtime.streamTimeMs) return false;
    const before = runtime.streamTimeMs;
    runtime.streamTimeMs = eventTimeMs;
    state.undo(() => {
      runtime.streamTimeMs = before;
    });
    const { name } = runtime.definition;
    for (;;) {
      const timer = state.timers.takeEvent(name, eventTimeMs);
      if (timer === null) return true;
      fire(runtime, timer, logTimeMs);
    }
  };

  const process = (step: Step, input: FoldInput, key: string, value: unknown): void => {
    const { runtime, input: declared } = step;
    const { logTimeMs, place } = input;
    const { name } = runtime.definition;
    if (gate.isActive && isPassedOver(name, input.topic.name, input)) return;
    let mark = state.mark();
    runtime.begin(place, logTimeMs, input.key, key);
    try {
      const eventTimeMs = eventTimeOf(declared, value, logTimeMs);
      if (declared.mode === 'keyed') {
        checkAhead(declared, eventTimeMs, logTimeMs);
        if (advance(runtime, eventTimeMs, logTimeMs)) {
          runtime.begin(place, logTimeMs, input.key, key);
          // Timers may have fired, and were marked.
          if (gate.isActive) gate.enter(name, place, logTimeMs, input.key, input.value);
        }
        mark = state.mark();
      }
      const record = { key, value, logTimeMs, eventTimeMs, place };
      // Types are erased here: `keyed` and `broadcast` tie a handler to its topic, its declaration to its stores.
      declared.process(record as never, runtime.context);
    } catch (error) {
      if (error instanceof FoldFailure) throw error;
      state.rollback(mark);
      const kind = runtime.hasFailedOutput ? 'output' : 'logic';
      fail(error, kind, [step], { ...input, origin: input.topic.name, component: name });
      return;
    }
    forward(runtime, input.topic.name, key, logTimeMs);
  };

  return {
    record: (input) => {
      const steps = stepsOf.get(input.topic.name);
      if (steps === undefined || (gate.isActive && isPassedOver('', input.topic.name, input))) return;
      let value: unknown = null;
      if (input.value !== null) {
        try {
          value = serde.decode(input.topic, input.value);
        } catch (error) {
          fail(error, 'decode', steps, { ...input, origin: input.topic.name, component: node.name });
          return;
        }
      }
      const key = input.key?.toString() ?? '';
      for (const step of steps) process(step, input, key, value);
    },
    timer: (timer, logTimeMs) => {
      const runtime = runtimes.get(timer.processor);
      if (runtime !== undefined) fire(runtime, timer, logTimeMs);
    },
    streamTimes: () =>
      Object.fromEntries(
        [...runtimes].flatMap(([name, { streamTimeMs }]) =>
          Number.isFinite(streamTimeMs) ? [[name, streamTimeMs]] : [],
        ),
      ),
  };
}

/** When a record happened, as its input declares it. */
export function eventTimeOf(
  { eventTime }: Pick<InputDeclaration, 'eventTime'>,
  value: unknown,
  logTimeMs: number,
): number {
  if (value === null || typeof value !== 'object') return logTimeMs;
  // Types are erased here: the declaration tied the function to its topic.
  if (eventTime !== null) return eventTime(value as never);
  return 'eventTimeMs' in value && typeof value.eventTimeMs === 'number' ? value.eventTimeMs : logTimeMs;
}

function checkAhead({ topic, maxAheadMs }: InputDeclaration, eventTimeMs: number, logTimeMs: number): void {
  if (eventTimeMs - logTimeMs <= maxAheadMs) return;
  throw new PipelineError(
    'EVENT_TIME_AHEAD',
    `${topic.name}: expected an event time at most ${maxAheadMs} ms after the log time ${logTimeMs}, found ${eventTimeMs}: the clock of its source is wrong`,
  );
}
