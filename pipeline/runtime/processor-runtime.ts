/** One processor within a task: its stores, its stream time, and the context that its handlers see. */
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';
import type { ProcessContext, ProcessorDefinition, Rejection } from '#pipeline/processor.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { StoreInstance } from '#pipeline/state/store.ts';
import type { TaskState } from '#pipeline/state/task-state.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { Topic } from '#schemas/topics.ts';
import type { Outputs } from './outputs.ts';

/** An output that waits until its handler has ended well. */
export interface Emitted {
  readonly topic: Topic;
  readonly key: Buffer;
  readonly keyText: string;
  readonly value: unknown;
  readonly bytes: Buffer;
}

export class ProcessorRuntime {
  readonly definition: ProcessorDefinition;
  readonly context: ProcessContext;
  readonly instances: ReadonlyMap<string, StoreInstance<unknown>>;
  streamTimeMs: number;
  /** What the present handler did so far. */
  readonly emitted: Emitted[] = [];
  readonly rejections: Rejection[] = [];
  duplicates = 0;
  /** Key of the input: most outputs have the same. */
  #key: Buffer | null = null;
  #keyText = '';
  /** An output could not be encoded or is too large. */
  hasFailedOutput = false;
  place = '';
  logTimeMs = 0;

  constructor(options: {
    definition: ProcessorDefinition;
    state: TaskState;
    serde: Serde;
    outputs: Outputs;
    metrics: Metrics;
    streamTimeMs: number;
  }) {
    const { definition, state, metrics } = options;
    this.definition = definition;
    this.streamTimeMs = options.streamTimeMs;
    const stores: Record<string, unknown> = {};
    this.context = this.#createContext(stores, options);
    const instances = new Map<string, StoreInstance<unknown>>();
    for (const [store, declaration] of Object.entries(definition.stores)) {
      const instance = state.open({
        processor: definition.name,
        store,
        declaration,
        context: this.context,
        attempt: (part, work) => this.#attempt(part, work, state),
        count: (what, records = 1) =>
          metrics.add(
            what === 'late' ? 'late_records_total' : 'dropped_records_total',
            {
              processor: definition.name,
              store,
            },
            records,
          ),
      });
      instances.set(store, instance);
      stores[store] = instance.handle;
    }
    this.instances = instances;
  }

  /** Before each handler. `key` null: there is none, or only its text is at hand. */
  begin(place: string, logTimeMs: number, key: Buffer | null, keyText: string): void {
    this.place = place;
    this.logTimeMs = logTimeMs;
    this.hasFailedOutput = false;
    this.#key = key;
    this.#keyText = keyText;
    this.#clear();
  }

  /** Forgets what the last handler did, whether it ended well or not. */
  #clear(): void {
    if (this.emitted.length > 0) this.emitted.length = 0;
    if (this.rejections.length > 0) this.rejections.length = 0;
    this.duplicates = 0;
  }

  #attempt(part: string, work: () => void, state: TaskState): void {
    const mark = state.mark();
    const [emitted, rejected] = [this.emitted.length, this.rejections.length];
    try {
      work();
    } catch (error) {
      const mode = this.definition.onError[this.hasFailedOutput ? 'output' : 'logic'];
      if (mode !== 'dead-letter' || (isPipelineError(error) && error.action !== 'dead-letter')) throw error;
      state.rollback(mark);
      this.emitted.length = emitted;
      this.rejections.length = rejected;
      this.hasFailedOutput = false;
      const code = isPipelineError(error) ? error.code : 'LOGIC_FAILED';
      this.rejections.push({ part, code, reason: messageOf(error), body: Buffer.alloc(0) });
    }
  }

  #createContext(
    stores: Readonly<Record<string, unknown>>,
    { serde, outputs }: { serde: Serde; outputs: Outputs },
  ): ProcessContext {
    const runtime = this;
    const declared = new Set(this.definition.outputs.map(({ name }) => name));
    return {
      // The declarations tie each handle to its type (`HandleOf`).
      stores: stores as ProcessContext['stores'],
      get place() {
        return runtime.place;
      },
      get logTimeMs() {
        return runtime.logTimeMs;
      },
      get streamTimeMs() {
        return runtime.streamTimeMs;
      },
      emit: (topic, outputKey, value) => {
        if (!declared.has(topic.name)) {
          throw new PipelineError(
            'INVARIANT_BROKEN',
            `${runtime.definition.name} does not declare ${topic.name} as an output`,
          );
        }
        const keyText = outputKey;
        const key =
          keyText === runtime.#keyText && runtime.#key !== null ? runtime.#key : Buffer.from(keyText);
        try {
          const bytes = serde.encode(topic, value);
          outputs.checkSize(topic, key, bytes);
          runtime.emitted.push({ topic, key, keyText, value, bytes });
        } catch (error) {
          runtime.hasFailedOutput = true;
          throw error;
        }
      },
      reject: (rejection) => {
        runtime.rejections.push(rejection);
      },
      duplicate: () => {
        runtime.duplicates += 1;
      },
    };
  }
}
