/** Slices in the entries of a window store: adding an input, and taking one back. */
import { PipelineError } from '#pipeline/errors.ts';
import { sortableTime } from '#pipeline/state/sortable-time.ts';
import type { Codec, Entries, Segment, StoreAccess } from '#pipeline/state/store.ts';
import { createKeptInputs, type ListName } from './kept-inputs.ts';
import { inputsHead, lateInputsHead, revisionKey, slicePrefix } from './slice-keys.ts';
import {
  ON_TIME,
  type Part,
  type SliceValue,
  storedCodec,
  withInput,
  withLateInput,
  withPart,
} from './slice-value.ts';
import type { WindowSettings } from './windows.ts';

/** An input that was taken out, and from which windows: those that end at `fromEndMs` or later. */
export interface Taken<State> {
  readonly after: SliceValue<State>;
  readonly fromEndMs: number;
}

/** Slices are named by their start. */
export interface SliceStore<In, State> {
  /** The values of a slice, by key. */
  slice(startMs: number): Segment<SliceValue<State>>;
  /** Nobody will ask for anything of an earlier slice. */
  dropBelow(startMs: number): void;
  /** `before` with one more input, which is in time for every window that may be asked for later. Does not put it. */
  add(startMs: number, key: string, before: SliceValue<State> | undefined, input: In): SliceValue<State>;
  /** `before` with one more input that counts only in windows that end at `fromEndMs` or later. Does not put it. */
  addLate(
    slice: { readonly startMs: number; readonly fromEndMs: number },
    key: string,
    before: SliceValue<State> | undefined,
    input: In,
  ): SliceValue<State>;
  /** Takes an input out of the value of a slice. Does not put what is left. Null when it is not there. */
  take(startMs: number, key: string, value: SliceValue<State> | undefined, input: In): Taken<State> | null;
  /** Counts the corrections of a window: 1 the first time. */
  nextRevision(startMs: number, name: string, key: string): number;
}

export function createSliceStore<In, State>(
  settings: Pick<WindowSettings<In, State, unknown, string>, 'aggregate' | 'retracts' | 'inputCodec'>,
  access: StoreAccess,
): SliceStore<In, State> {
  const { aggregate, retracts } = settings;
  const stored = access.entries(storedCodec(aggregate.codec));
  // The form of an entry's key says which of the three it is (see slice-keys.ts).
  const values = stored as unknown as Entries<SliceValue<State>>;
  const revisions = stored as unknown as Entries<number>;
  const kept = createKeptInputs(stored as unknown as Entries<readonly string[]>);
  /** Every input is kept: the aggregate cannot take one back. */
  const keepsInputs = retracts && aggregate.remove === null;

  const codec = (): Codec<In> => {
    const { inputCodec } = settings;
    if (inputCodec !== undefined) return inputCodec;
    throw new PipelineError('INVARIANT_BROKEN', `${access.name}: inputs are kept, yet they have no codec`);
  };

  /** The part without the input; null when it is not in it. `list`: its kept inputs, null when none are. */
  const without = (part: Part<State>, input: In, list: ListName | null): Part<State> | null => {
    if (part.records === 0) return null;
    let texts: readonly string[] = [];
    if (list !== null) {
      const all = kept.read(list, part.records);
      const at = all.indexOf(codec().encode(input));
      if (at === -1) return null;
      texts = all.toSpliced(at, 1);
      kept.replace(list, all.length, texts);
    }
    const numbers = { records: part.records - 1, updates: part.updates + 1 };
    if (numbers.records === 0) return { ...numbers, state: aggregate.zero };
    if (aggregate.remove !== null) return { ...numbers, state: aggregate.remove(part.state, input) };
    let state = aggregate.zero;
    for (const text of texts) state = aggregate.add(state, codec().decode(text));
    return { ...numbers, state };
  };

  return {
    slice: (startMs) => values.segment(slicePrefix(startMs)),
    dropBelow: (startMs) => stored.dropBelow(sortableTime(startMs)),
    add: (startMs, key, before, input) => {
      if (keepsInputs) {
        kept.append({ head: inputsHead(startMs), key }, before?.records ?? 0, codec().encode(input));
      }
      return withInput(aggregate, before, input);
    },
    addLate: ({ startMs, fromEndMs }, key, before, input) => {
      if (retracts) {
        const count = before?.late.find((part) => part.fromEndMs === fromEndMs)?.records ?? 0;
        kept.append({ head: lateInputsHead(startMs, fromEndMs), key }, count, codec().encode(input));
      }
      return withLateInput(aggregate, before, fromEndMs, input);
    },
    take: (startMs, key, value, input) => {
      if (value === undefined) return null;
      // The late ones first: they are known by their text, what is in time may be a state alone.
      for (const part of value.late) {
        const { fromEndMs } = part;
        const left = without(part, input, { head: lateInputsHead(startMs, fromEndMs), key });
        if (left !== null) return { after: withPart(value, { ...left, fromEndMs }), fromEndMs };
      }
      const left = without(value, input, keepsInputs ? { head: inputsHead(startMs), key } : null);
      return left === null ? null : { after: { ...left, late: value.late }, fromEndMs: ON_TIME };
    },
    nextRevision: (startMs, name, key) => {
      const path = revisionKey(startMs, name, key);
      const revision = (revisions.get(path) ?? 0) + 1;
      revisions.put(path, revision);
      return revision;
    },
  };
}
