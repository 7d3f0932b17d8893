/** Topics and a processor for the tests of the driver itself. */
import { defineProcessor, keyed, type ProcessorDefinition } from '#pipeline/processor.ts';
import { NAMESPACE, timestampMs, type ValueOf } from '#schemas/avro.ts';
import type { Layer, Topic } from '#schemas/topics.ts';
import type { Driver } from './contract.ts';

const note = {
  type: 'record',
  name: 'Note',
  namespace: NAMESPACE,
  fields: [
    { name: 'text', type: 'string' },
    { name: 'eventTimeMs', type: timestampMs },
  ],
} as const;

export type NoteTopic = Topic<typeof note>;

/** A topic of notes. */
export const topic = (name: string, layer: Layer, partitions: number): NoteTopic => ({
  name,
  layer,
  key: 'any',
  schema: note,
  partitions,
});

export const aNote = (text: string, eventTimeMs = 0): ValueOf<typeof note> => ({ text, eventTimeMs });

/** Texts of a topic, in the order of a reader. */
export const texts = (driver: Driver, of: NoteTopic): readonly string[] =>
  driver.values(of).map(({ text }) => text);

/** Writes what it reads, under the same key; tombstones are left out. */
export const copying = (
  name: string,
  inputs: readonly NoteTopic[],
  output: NoteTopic,
  options: {
    readonly keepsKey?: boolean;
    readonly withPlace?: boolean;
    /** May throw. */
    readonly textOf?: (text: string) => string;
  } = {},
): ProcessorDefinition =>
  defineProcessor({
    name,
    summary: 'writes what it reads',
    keepsKey: options.keepsKey ?? true,
    inputs: inputs.map((input) =>
      keyed(input, ({ key, value, place }, { emit }) => {
        if (value === null) return;
        const text = options.textOf?.(value.text) ?? value.text;
        emit(output, key, aNote(options.withPlace === true ? `${text} of ${place}` : text));
      }),
    ),
    outputs: [output],
  });
