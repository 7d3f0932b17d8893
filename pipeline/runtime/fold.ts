/**
 * (state, record) -> (state', output records): one record through the processors of a task.
 *
 * Each processor handles a record whole or not at all: when it throws, its writes and outputs are forgotten and the
 * record goes to the dead-letter topic with its bytes. What it emits is encoded here, and handed on at once to
 * the processors of the same task that read it.
 */
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';
import type { InputDeclaration, KeyValueStores, ProcessorDefinition, Rejection } from '#pipeline/rooms.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { TaskState } from '#pipeline/state/task-state.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { DeadLetter } from '#schemas/dead-letter.ts';
import type { Topic } from '#schemas/topics.ts';
import type { GraphNode } from './graph.ts';
import type { Outputs } from './outputs.ts';

export interface FoldInput {
  readonly topic: Topic;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly logTimeMs: number;
  readonly place: string;
}

interface Emitted {
  readonly topic: Topic;
  readonly key: string;
  readonly value: unknown;
  readonly bytes: Buffer;
}

interface Step {
  readonly processor: ProcessorDefinition;
  readonly input: InputDeclaration;
  readonly stores: KeyValueStores;
}

export function createFold(options: {
  node: GraphNode;
  dlqTopic: Topic;
  serde: Serde;
  state: TaskState;
  outputs: Outputs;
  metrics: Metrics;
}): (input: FoldInput) => void {
  const { node, dlqTopic, serde, state, outputs, metrics } = options;
  const stepsOf = new Map<string, Step[]>();
  for (const processor of node.processors) {
    const stores = Object.fromEntries(
      Object.entries(processor.stores).map(([name, declaration]) => [
        name,
        state.store(`${processor.name}.${name}`, declaration),
      ]),
    );
    for (const input of processor.inputs) {
      const steps = stepsOf.get(input.topic.name) ?? [];
      steps.push({ processor, input, stores });
      stepsOf.set(input.topic.name, steps);
    }
  }

  const putAside = (
    letter: Omit<DeadLetter, 'id' | 'eventTimeMs'>,
    origin: Topic,
    logTimeMs: number,
  ): void => {
    metrics.add('dead_letters_total', { component: letter.component, code: letter.code });
    const id = `dlq:${letter.place}:${letter.component}`;
    const value: DeadLetter = { id, eventTimeMs: logTimeMs, ...letter };
    outputs.write(dlqTopic, Buffer.from(origin.name), serde.encode(dlqTopic, value as never), logTimeMs);
  };

  const process = (step: Step, input: FoldInput, value: unknown): void => {
    const { processor } = step;
    const key = input.key?.toString() ?? '';
    const emitted: Emitted[] = [];
    const rejected: Omit<DeadLetter, 'id' | 'eventTimeMs'>[] = [];
    let duplicates = 0;
    const context = {
      stores: step.stores,
      emit: (topic: Topic, outputKey: string, output: unknown) => {
        if (!processor.outputs.some(({ name }) => name === topic.name)) {
          throw new PipelineError(
            'INVARIANT_BROKEN',
            `${processor.name} does not declare ${topic.name} as an output`,
          );
        }
        const bytes = serde.encode(topic, output as never);
        outputs.checkSize(topic, Buffer.from(outputKey), bytes);
        emitted.push({ topic, key: outputKey, value: output, bytes });
      },
      reject: ({ part, code, reason, body }: Rejection) => {
        rejected.push({
          place: `${input.place}#${part}`,
          component: processor.name,
          code,
          reason,
          key,
          body,
        });
      },
      duplicate: () => {
        duplicates += 1;
      },
    };
    const record = { key, value, logTimeMs: input.logTimeMs, place: input.place };
    try {
      // Types are erased here: rooms.ts (keyed, broadcast) ties a handler to its topic, its declaration to its stores.
      step.input.process(record as never, context as never);
    } catch (error) {
      if (isPipelineError(error) && error.action !== 'dead-letter') throw error;
      state.rollback();
      const code = isPipelineError(error) ? error.code : 'LOGIC_FAILED';
      const body = Buffer.from(input.value ?? '');
      putAside(
        { place: input.place, component: processor.name, code, reason: messageOf(error), key, body },
        input.topic,
        input.logTimeMs,
      );
      return;
    }
    state.commit();
    if (duplicates > 0) metrics.add('duplicates_dropped_total', { where: processor.name }, duplicates);
    for (const letter of rejected) putAside(letter, input.topic, input.logTimeMs);
    for (const { topic, key: outputKey, value: output, bytes } of emitted) {
      const keyBytes = Buffer.from(outputKey);
      const place = outputs.write(topic, keyBytes, bytes, input.logTimeMs);
      metrics.add('task_outputs_total', { topic: topic.name });
      for (const next of stepsOf.get(topic.name) ?? []) {
        process(next, { topic, key: keyBytes, value: bytes, logTimeMs: input.logTimeMs, place }, output);
      }
    }
  };

  return (input) => {
    state.setLogTime(input.logTimeMs);
    const steps = stepsOf.get(input.topic.name) ?? [];
    if (steps.length === 0) return;
    let value: unknown = null;
    if (input.value !== null) {
      try {
        value = serde.decode(input.topic, input.value);
      } catch (error) {
        if (!isPipelineError(error, 'VALUE_UNREADABLE')) throw error;
        const { place, logTimeMs } = input;
        const key = input.key?.toString() ?? '';
        putAside(
          {
            place,
            component: node.name,
            code: error.code,
            reason: error.message,
            key,
            body: Buffer.from(input.value),
          },
          input.topic,
          logTimeMs,
        );
        return;
      }
    }
    for (const step of steps) process(step, input, value);
  };
}
