/** The inputs of open sessions, kept so that a session can be computed anew without one of them. */
import { PipelineError } from '#pipeline/errors.ts';
import { sortableTime } from '#pipeline/state/sortable-time.ts';
import type { Codec, Entries } from '#pipeline/state/store.ts';
import { createKeptInputs, type ListName } from './kept-inputs.ts';
import { type KeptList, keptText, type RebuiltSession, rebuildSessions } from './session-value.ts';
import type { SessionSettings } from './sessions.ts';

/** Entries are `k<time>#<piece>#<key>`: the event time is that of the list's first input. */
const KEPT = 'k';

export interface SessionInputs<In, State> {
  /** Keeps an input at the end of the last list; gives the lists as they are then. */
  add(key: string, lists: readonly KeptList[], eventTimeMs: number, input: In): readonly KeptList[];
  read(key: string, lists: readonly KeptList[]): readonly string[];
  /** Keeps the inputs of a session that starts at `startMs`. */
  write(key: string, startMs: number, texts: readonly string[]): readonly KeptList[];
  forget(key: string, lists: readonly KeptList[]): void;
  /** The sessions that are left without an input; null when it is not among the texts. */
  without(texts: readonly string[], eventTimeMs: number, input: In): readonly RebuiltSession<State>[] | null;
}

export function createSessionInputs<In, State>(options: {
  settings: Pick<SessionSettings<In, State, unknown>, 'aggregate' | 'gapMs' | 'inputCodec'>;
  entries: Entries<readonly string[]>;
  /** Of the store, for messages. */
  name: string;
}): SessionInputs<In, State> {
  const { settings, name } = options;
  const { aggregate, gapMs } = settings;
  const kept = createKeptInputs(options.entries);
  const listOf = (firstMs: number, key: string): ListName => ({ head: KEPT + sortableTime(firstMs), key });
  const codec = (): Codec<In> => {
    if (settings.inputCodec !== undefined) return settings.inputCodec;
    throw new PipelineError('INVARIANT_BROKEN', `${name}: inputs are kept, yet they have no codec`);
  };
  const textOf = (eventTimeMs: number, input: In): string => keptText(eventTimeMs, codec().encode(input));
  return {
    add: (key, lists, eventTimeMs, input) => {
      const [firstMs, count] = lists.at(-1) ?? [eventTimeMs, 0];
      kept.append(listOf(firstMs, key), count, textOf(eventTimeMs, input));
      return [...lists.slice(0, -1), [firstMs, count + 1]];
    },
    read: (key, lists) => lists.flatMap(([firstMs, count]) => kept.read(listOf(firstMs, key), count)),
    write: (key, startMs, texts) => {
      kept.replace(listOf(startMs, key), 0, texts);
      return [[startMs, texts.length]];
    },
    forget: (key, lists) => {
      for (const [firstMs, count] of lists) kept.replace(listOf(firstMs, key), count, []);
    },
    without: (texts, eventTimeMs, input) => {
      const at = texts.indexOf(textOf(eventTimeMs, input));
      if (at === -1) return null;
      return rebuildSessions(texts.toSpliced(at, 1), { aggregate, inputCodec: codec(), gapMs });
    },
  };
}
