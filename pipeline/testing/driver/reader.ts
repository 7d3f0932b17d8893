/** Opens a declared store over the state of a task, for tests to look into; what they write there is forgotten. */
import type { StoreContext } from '#pipeline/processor.ts';
import type { FoundStore } from '#pipeline/runtime/state-view.ts';
import { LAST_KEY } from '#pipeline/state/backend.ts';
import { readOnlyEntries } from '#pipeline/state/read-only-entries.ts';
import { storePrefix } from '#pipeline/state/task-state.ts';
import type { DriverTask } from './task.ts';

/** Entries of the store as a restart would read them, in the order of their keys. */
export function readEntries(
  { processor, store }: FoundStore,
  task: DriverTask,
): readonly { readonly partition: number; readonly key: string; readonly text: string }[] {
  const prefix = storePrefix(processor, store);
  return task
    .present()
    .scan(prefix, prefix + LAST_KEY)
    .map(([key, text]) => ({ partition: task.id.partition, key: key.slice(prefix.length), text }));
}

/** The handle that the processor would see at `logTimeMs`. */
export function openHandle(found: FoundStore, driven: DriverTask, logTimeMs: number): unknown {
  const { processor, store, declaration } = found;
  const { task } = driven;
  const stored = readEntries(found, driven);
  const timers = task.state.timers.timers(processor, store);
  const context: StoreContext = {
    emit: () => {},
    reject: () => {},
    duplicate: () => {},
    place: '',
    logTimeMs,
    streamTimeMs: task.contents().streamTimes[processor] ?? Number.NEGATIVE_INFINITY,
  };
  const texts = new Map(stored.map(({ key, text }) => [key, text]));
  const instance = declaration.open({
    name: `${processor}.${store}`,
    context,
    timers: { set: () => {}, cancel: () => {}, get: (time, key) => timers.get(time, key) },
    undo: () => {},
    count: () => {},
    attempt: () => {},
    entries: (codec) => readOnlyEntries(codec, (key) => texts.get(key)),
  });
  for (const { key, text } of stored) instance.load?.(key, text);
  return instance.handle;
}
