/** Opens one store in memory, without an engine: for tests of a kind of store. Time is moved by hand. */
import type { StoreContext } from '#pipeline/processor.ts';
import type {
  Codec,
  Entries,
  FiredTimer,
  Segment,
  StoreDeclaration,
  TimerTime,
} from '#pipeline/state/store.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';

export interface StoreHarness<Handle> {
  readonly handle: Handle;
  readonly emitted: readonly { readonly topic: string; readonly key: string; readonly value: unknown }[];
  readonly context: StoreContext;
  counted(what: 'late' | 'dropped'): number;
  /** Log time of what follows; fires log timers that are due before it, in order. */
  logTime(ms: number): void;
  /** Stream time of what follows, if it is later; fires event timers that are due. */
  streamTime(ms: number): void;
  /** What `work` did is undone, as when a handler throws. */
  refuse(work: () => void): void;
  /** What a restart would read, by key. */
  entries(): readonly (readonly [key: string, text: string])[];
  timers(): readonly FiredTimer[];
  /** Everything but the entries and timers is lost, as in a restart. */
  restart(): void;
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

export function createStoreHarness<Handle>(declaration: StoreDeclaration<Handle>): StoreHarness<Handle> {
  const texts = new Map<string, string>();
  const due = new Map<string, FiredTimer>();
  const emitted: { topic: string; key: string; value: unknown }[] = [];
  const counts = { late: 0, dropped: 0 };
  let undos: (() => void)[] = [];
  let [logTimeMs, streamTimeMs] = [0, Number.NEGATIVE_INFINITY];

  const setText = (key: string, text: string | undefined): void => {
    const before = texts.get(key);
    undos.push(() => (before === undefined ? texts.delete(key) : texts.set(key, before)));
    if (text === undefined) texts.delete(key);
    else texts.set(key, text);
  };
  const segmentOf = <V>(codec: Codec<V>, prefix: string): Segment<V> => {
    const get = (key: string): V | undefined => {
      const text = texts.get(prefix + key);
      return text === undefined ? undefined : codec.decode(text);
    };
    return {
      get,
      peek: get,
      put: (key, value) => setText(prefix + key, codec.encode(value)),
      delete: (key) => setText(prefix + key, undefined),
    };
  };
  const entriesOf = <V>(codec: Codec<V>): Entries<V> => ({
    ...segmentOf(codec, ''),
    segment: (prefix) => segmentOf(codec, prefix),
    dropBelow: (end) => {
      for (const key of [...texts.keys()]) if (byBytes(key, end) < 0) setText(key, undefined);
    },
  });
  const nameOf = (time: TimerTime, key: string): string => `${time}:${key}`;
  const setTimer = (time: TimerTime, key: string, timer: FiredTimer | undefined): void => {
    const name = nameOf(time, key);
    const before = due.get(name);
    undos.push(() => (before === undefined ? due.delete(name) : due.set(name, before)));
    if (timer === undefined) due.delete(name);
    else due.set(name, timer);
  };
  const context: StoreContext = {
    emit: <S extends RecordSchema>(topic: Topic<S>, key: string, value: ValueOf<S>) => {
      emitted.push({ topic: topic.name, key, value });
      undos.push(() => emitted.pop());
    },
    reject: () => {},
    duplicate: () => {},
    place: 'harness/0/0',
    get logTimeMs() {
      return logTimeMs;
    },
    get streamTimeMs() {
      return streamTimeMs;
    },
  };
  const open = () => {
    const instance = declaration.open({
      name: 'harness.store',
      entries: entriesOf,
      timers: {
        set: (time, key, atMs) => setTimer(time, key, { time, key, atMs }),
        cancel: (time, key) => setTimer(time, key, undefined),
        get: (time, key) => due.get(nameOf(time, key))?.atMs,
      },
      context,
      undo: (restore) => undos.push(restore),
      attempt: (_part, work) => work(),
      count: (what, records = 1) => {
        counts[what] += records;
        undos.push(() => {
          counts[what] -= records;
        });
      },
    });
    for (const [key, text] of sorted()) instance.load?.(key, text);
    return instance;
  };
  const sorted = () => [...texts].sort(([a], [b]) => byBytes(a, b));
  let instance = open();

  const fire = (time: TimerTime, untilMs: number): void => {
    for (;;) {
      const next = [...due.values()]
        .filter((timer) => timer.time === time && timer.atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs || byBytes(a.key, b.key))[0];
      if (next === undefined) return;
      due.delete(nameOf(time, next.key));
      if (time === 'log') logTimeMs = Math.max(logTimeMs, next.atMs);
      instance.fired?.(next);
      undos = [];
    }
  };
  return {
    get handle() {
      return instance.handle;
    },
    emitted,
    context,
    counted: (what) => counts[what],
    logTime: (ms) => {
      undos = [];
      fire('log', ms);
      logTimeMs = ms;
    },
    streamTime: (ms) => {
      undos = [];
      if (ms <= streamTimeMs) return;
      streamTimeMs = ms;
      fire('event', ms);
    },
    refuse: (work) => {
      undos = [];
      work();
      for (const undo of undos.reverse()) undo();
      undos = [];
    },
    entries: sorted,
    timers: () => [...due.values()],
    restart: () => {
      undos = [];
      instance = open();
    },
  };
}
