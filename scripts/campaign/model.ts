/**
 * What must come out, computed from the raw log in a few lines: the topology once more, without any of the engine. Input
 * is taken in the order (log time, partition, offset), which is also the order in which the later steps see what comes of it.
 */

/** A reading in the raw log. */
export interface RawReading {
  readonly partition: number;
  readonly offset: number;
  /** Running maximum of the partition. */
  readonly logTimeMs: number;
  readonly number: number;
  readonly sensor: string;
  readonly value: number;
  readonly eventTimeMs: number;
}

/** The next record of a stream; streams are named `topic/partition/writer`. */
export interface Expected {
  readonly stream: string;
  readonly logTimeMs: number;
  readonly key: string;
  readonly fields: readonly (number | string)[];
}

export interface ModelSettings {
  readonly windowMs: number;
  readonly graceMs: number;
  readonly silenceMs: number;
  /** Of derived topics. */
  readonly partitions: number;
  readonly partitionOf: (key: string) => number;
}

export interface Model {
  /** In offset order for each partition. */
  add(reading: RawReading): void;
  /** What comes of all readings and timers before `boundMs`: nothing earlier may be added from now on. */
  advance(boundMs: number): readonly Expected[];
}

interface Scaled {
  readonly reading: RawReading;
  readonly value: number;
}

/** One task of `tally`. */
interface Windows {
  streamMs: number;
  /** `start` -> sensor -> count and sum. */
  readonly open: Map<number, Map<string, { count: number; sum: number }>>;
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

export function createModel(settings: ModelSettings): Model {
  const { windowMs, graceMs, silenceMs, partitionOf } = settings;
  const tasks = Array.from({ length: settings.partitions }, (_, index) => index);
  const windows = tasks.map((): Windows => ({ streamMs: Number.NEGATIVE_INFINITY, open: new Map() }));
  const silences = tasks.map(() => new Map<string, { dueMs: number; readings: number }>());
  const totals = new Map<string, { count: number; sum: number }>();
  let waiting: RawReading[] = [];
  let out: Expected[] = [];

  const emit = (topic: string, writer: string, record: Omit<Expected, 'stream'>): void => {
    out.push({ stream: `${topic}/${partitionOf(record.key)}/${writer}`, ...record });
  };

  const tally = (task: number, { reading, value }: Scaled): void => {
    const state = windows[task];
    if (state === undefined) throw new Error(`no task ${task}`);
    const { logTimeMs, sensor, eventTimeMs } = reading;
    const say = (key: string, startMs: number, count: number, sum: number): void =>
      emit('tallies', `tally-${task}`, { logTimeMs, key, fields: [startMs, count, sum] });
    state.streamMs = Math.max(state.streamMs, eventTimeMs);
    const isClosed = (startMs: number): boolean => startMs + windowMs + graceMs <= state.streamMs;
    for (const startMs of [...state.open.keys()].sort((a, b) => a - b).filter(isClosed)) {
      const sums = [...(state.open.get(startMs) ?? [])].sort(([a], [b]) => byBytes(a, b));
      for (const [key, { count, sum }] of sums) say(key, startMs, count, sum);
      state.open.delete(startMs);
    }
    const startMs = Math.floor(eventTimeMs / windowMs) * windowMs;
    if (isClosed(startMs)) {
      say(sensor, startMs, 0, value);
      return;
    }
    const sums = state.open.get(startMs) ?? new Map<string, { count: number; sum: number }>();
    state.open.set(startMs, sums);
    const { count, sum } = sums.get(sensor) ?? { count: 0, sum: 0 };
    sums.set(sensor, { count: count + 1, sum: sum + value });
  };

  /** Timers that are due by then fire before what happens then. */
  const fallSilent = (untilMs: number): void => {
    for (const [task, timers] of silences.entries()) {
      const due = [...timers].filter(([, { dueMs }]) => dueMs <= untilMs);
      due.sort(([a, x], [b, y]) => x.dueMs - y.dueMs || byBytes(a, b));
      for (const [key, { dueMs, readings }] of due) {
        emit('hushes', `hush-${task}`, { logTimeMs: dueMs, key, fields: [readings] });
        timers.delete(key);
      }
    }
  };

  const total = (task: number, { reading, value }: Scaled): void => {
    const { logTimeMs, number, sensor, eventTimeMs } = reading;
    const key = sensor.slice(0, 1);
    const fields = [number, sensor, value, eventTimeMs];
    emit('internal.total.scaled', `total-rekey-scaled-${task}`, { logTimeMs, key, fields });
    const { count, sum } = totals.get(key) ?? { count: 0, sum: 0 };
    const after = { count: count + 1, sum: sum + value };
    totals.set(key, after);
    emit('totals', `total-${partitionOf(key)}`, { logTimeMs, key, fields: [number, after.count, after.sum] });
  };

  /** All readings of one log time. */
  const take = (logTimeMs: number, readings: readonly RawReading[]): void => {
    fallSilent(logTimeMs);
    const scaled = tasks.map((): Scaled[] => []);
    for (const reading of readings) {
      const { partition, sensor, number, eventTimeMs } = reading;
      const value = 3 * reading.value;
      emit('scaled', `scale-${partition}`, {
        logTimeMs,
        key: sensor,
        fields: [number, sensor, value, eventTimeMs],
      });
      scaled[partitionOf(sensor)]?.push({ reading, value });
    }
    for (const [task, records] of scaled.entries()) {
      for (const record of records) {
        tally(task, record);
        const { sensor } = record.reading;
        const readingsBefore = silences[task]?.get(sensor)?.readings ?? 0;
        silences[task]?.set(sensor, { dueMs: logTimeMs + silenceMs, readings: readingsBefore + 1 });
        total(task, record);
      }
    }
  };

  return {
    add: (reading) => {
      waiting.push(reading);
    },
    advance: (boundMs) => {
      const due = waiting.filter(({ logTimeMs }) => logTimeMs < boundMs);
      waiting = waiting.filter(({ logTimeMs }) => logTimeMs >= boundMs);
      due.sort((a, b) => a.logTimeMs - b.logTimeMs || a.partition - b.partition || a.offset - b.offset);
      for (const [logTimeMs, readings] of Map.groupBy(due, (reading) => reading.logTimeMs))
        take(logTimeMs, readings);
      fallSilent(boundMs - 1);
      const made = out;
      out = [];
      return made;
    },
  };
}
