/** Values that cannot be changed: what handlers and stores get is frozen, and who changes it is named. */
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { ProcessorDefinition, TimerHandler } from '#pipeline/processor.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import type { Codec, Entries, EntriesUse, Segment, StoreDeclaration } from '#pipeline/state/store.ts';

/**
 * Freezes objects and arrays, however deep, and returns what it was given; what is frozen already is passed over.
 * Buffers cannot be frozen: when their bytes are changed, the state that is read again tells.
 */
export function deepFreeze<V>(value: V): V {
  const waiting: unknown[] = [value];
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (typeof next !== 'object' || next === null || ArrayBuffer.isView(next) || Object.isFrozen(next))
      continue;
    Object.freeze(next);
    for (const part of Object.values(next)) if (typeof part === 'object') waiting.push(part);
  }
  return value;
}

/** What V8 says when frozen values are changed. */
const CHANGES_FROZEN = /^Cannot (assign to read only|add|delete|define|redefine) property|is not extensible$/;

/** Runs the code of a processor or store; a change of a frozen value ends the run instead of becoming a dead letter. */
function guarded<R>(name: string, work: () => R): R {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TypeError) || !CHANGES_FROZEN.test(messageOf(error))) throw error;
    throw new PipelineError(
      'INVARIANT_BROKEN',
      `${name}: changes a value that was read, stored or emitted: ${messageOf(error)}; make a new value, and put it`,
      { cause: error },
    );
  }
}

/** The same processor, over values that cannot be changed. */
export function strictProcessor(definition: ProcessorDefinition): ProcessorDefinition {
  const { name } = definition;
  const onTimer = Object.entries(definition.onTimer).map(([store, handle]): [string, TimerHandler<never>] => [
    store,
    (timer, context) => guarded(name, () => handle?.(Object.freeze(timer), context)),
  ]);
  return {
    ...definition,
    stores: Object.fromEntries(
      Object.entries(definition.stores).map(([store, one]) => [store, strictStore(`${name}.${store}`, one)]),
    ),
    onTimer: Object.fromEntries(onTimer),
    inputs: definition.inputs.map((input) => ({
      ...input,
      process: (record, context) => guarded(name, () => input.process(Object.freeze(record), context)),
    })),
  };
}

function strictStore(name: string, declaration: StoreDeclaration): StoreDeclaration {
  return {
    ...declaration,
    open: (access) => {
      const entries = <V>(codec: Codec<V>, use?: EntriesUse) => frozenEntries(access.entries(codec, use));
      const instance = declaration.open({ ...access, entries });
      return {
        handle: instance.handle,
        ...(instance.load && { load: (key, text) => instance.load?.(key, text) }),
        ...(instance.fired && { fired: (timer) => guarded(name, () => instance.fired?.(timer)) }),
      };
    },
  };
}

const frozenSegment = <V>(segment: Segment<V>): Segment<V> => ({
  get: (key) => deepFreeze(segment.get(key)),
  peek: (key) => deepFreeze(segment.peek(key)),
  put: (key, value) => segment.put(key, deepFreeze(value)),
  delete: (key) => segment.delete(key),
});

const frozenEntries = <V>(entries: Entries<V>): Entries<V> => ({
  ...frozenSegment(entries),
  segment: (prefix) => frozenSegment(entries.segment(prefix)),
  dropBelow: (key) => entries.dropBelow(key),
});

/** Values are frozen once they are decoded, and once they are emitted. */
export const strictSerde = (serde: Serde): Serde => ({
  encode: (topic, value) => {
    const bytes = serde.encode(topic, value);
    deepFreeze(value);
    return bytes;
  },
  decode: (topic, bytes) => deepFreeze(serde.decode(topic, bytes)),
});
