/** What must come out, from the finished raw log, in a few lines: sort, fold, no engine. */
import { partitionOf } from '#pipeline/runtime/partitioner.ts';
import { type Hazard, isHazard } from './hazard.ts';
import type { SimulatedLog } from './log.ts';
import * as logic from './logic.ts';
import { compareText, createWindows } from './reference-windows.ts';
import { lineOf, type Streams } from './streams.ts';
import { decodeValue } from './topology.ts';

interface Input {
  readonly logTimeMs: number;
  readonly topic: string;
  readonly partition: number;
  readonly writer: string;
  readonly order: number;
  readonly key: string;
  readonly value: logic.Value;
}

/** Where version 2 begins. */
export interface ReferenceCut {
  readonly logTimeMs: number;
  /** Of the partitions of `a` and `b`: where who reads them for the first time begins. */
  readonly startOffsets: ReadonlyMap<string, number>;
}

/** What each sub-topology reads beside `facts`, in version 1 and in version 2; null: it is not there. */
const READS: readonly (readonly [
  name: string,
  first: readonly string[] | null,
  second: readonly string[] | null,
])[] = [
  ['na', ['a'], ['a']],
  ['nb', ['b'], null],
  ['nc', null, ['b']],
  ['e', ['mid'], ['mid']],
  ['s', ['mid', 'dev'], ['mid', 'dev']],
];

/** All streams up to a log time. `cut` null: version 1 alone. `hazard`: what is passed over. */
export function reference(
  log: SimulatedLog,
  untilMs: number,
  cut: ReferenceCut | null,
  hazard: Hazard | null,
): Streams {
  const streams: Streams = new Map();
  const cutMs = cut?.logTimeMs ?? Number.POSITIVE_INFINITY;
  const derived = new Map<string, Input[]>();
  for (const [subTopology, first, second] of READS) {
    const partitions = subTopology === 'nb' || subTopology === 'nc' ? 1 : 2;
    for (let partition = 0; partition < partitions; partition += 1) {
      const readFor = (topic: string): readonly Input[] =>
        derived.get(`${topic}/${partition}`) ?? readRaw(log, topic, partition);
      // Version 1 folds what is before the cut, version 2 the rest; and what either reads for the first time, it reads
      // as if it had come at the cut: facts from the first one on, others from where they ended.
      const before = [
        ...(first ?? []).flatMap(readFor),
        ...(subTopology === 's' ? [] : readRaw(log, 'facts', 0)),
      ];
      const isNewHere = first === null;
      const offset = isNewHere ? (cut?.startOffsets.get(`${second?.[0]}/${partition}`) ?? 0) : 0;
      const after = [
        ...(isNewHere
          ? readRaw(log, second?.[0] ?? '', partition, offset, cutMs)
          : (second ?? []).flatMap(readFor)),
        ...(isNewHere || subTopology === 's' ? readRaw(log, 'facts', 0, 0, cutMs) : readRaw(log, 'facts', 0)),
      ];
      const inputs = {
        first: first === null ? [] : before.filter(({ logTimeMs }) => logTimeMs < cutMs).sort(compare),
        second:
          cut === null || second === null
            ? []
            : after.filter(({ logTimeMs, writer }) => logTimeMs >= cutMs && writer !== 'nb-0').sort(compare),
      };
      foldTask(subTopology, { ...inputs, cutMs, untilMs, hazard }, (topic, key, value, logTimeMs) => {
        const target = topic === 'dlq' ? 0 : partitionOf(Buffer.from(key), 2);
        const writer = `${subTopology}-${partition}`;
        const name = `${topic}/${target}/${writer}`;
        const stream = streams.get(name) ?? [];
        streams.set(name, stream);
        stream.push(topic === 'dlq' ? `${logTimeMs} ${key}` : lineOf(logTimeMs, key, value));
        const input = { logTimeMs, topic, partition: target, writer, order: stream.length, key, value };
        const readers = derived.get(`${topic}/${target}`) ?? [];
        derived.set(`${topic}/${target}`, readers);
        readers.push(input);
      });
    }
  }
  return streams;
}

/** Records of a raw or fact partition, with the log time that who begins at `offset` gives them. */
function readRaw(
  log: SimulatedLog,
  topic: string,
  partition: number,
  fromOffset = 0,
  fromMs = 0,
): readonly Input[] {
  let maximumMs = fromMs;
  const found: Input[] = [];
  for (const { timestampMs, offset, key, value } of log.topics.get(topic)?.[partition]?.records ?? []) {
    if (offset < fromOffset) continue;
    maximumMs = Math.max(maximumMs, timestampMs);
    if (value === null) continue;
    const place = { topic, partition, writer: '', order: offset };
    found.push({ logTimeMs: maximumMs, ...place, key: String(key), value: decodeValue(topic, value) });
  }
  return found;
}

type Emit = (topic: string, key: string, value: logic.Value, logTimeMs: number) => void;
interface Timer {
  readonly processor: string;
  readonly time: 'log' | 'event';
  readonly key: string;
  readonly atMs: number;
}

interface TaskInputs {
  readonly first: readonly Input[];
  readonly second: readonly Input[];
  readonly cutMs: number;
  readonly untilMs: number;
  readonly hazard: Hazard | null;
}

function foldTask(name: string, inputs: TaskInputs, write: Emit): void {
  const { cutMs, untilMs, hazard } = inputs;
  let version = 1;
  const states = new Map(
    ['na', 'nb', 'nc', 'e', 's', 't'].map((processor) => [processor, new Map<string, unknown>()]),
  );
  let timers: Timer[] = [];
  let nowMs = 0;
  const streamTimes = new Map<string, number>();
  const due = (time: 'log' | 'event', processor: string | null, byMs: number): Timer | undefined =>
    timers
      .filter(
        (timer) =>
          timer.time === time && timer.atMs <= byMs && (processor ?? timer.processor) === timer.processor,
      )
      .sort(
        (x, y) => x.atMs - y.atMs || compareText(x.processor, y.processor) || compareText(x.key, y.key),
      )[0];

  const run = (processor: string, work: (tools: logic.Tools) => void, dead: () => void): void => {
    const state = states.get(processor) ?? new Map<string, unknown>();
    const before = new Map(state);
    const timersBefore = timers;
    const outputs: [string, string, logic.Value][] = [];
    const store = <V>(prefix: string) => ({
      get: (key: string) => state.get(prefix + key) as V | undefined,
      put: (key: string, value: V) => void state.set(prefix + key, value),
    });
    const without = (time: string, key: string) =>
      timers.filter((timer) => timer.processor !== processor || timer.time !== time || timer.key !== key);
    const timer = (time: 'log' | 'event') => ({
      set: (key: string, atMs: number) => {
        timers = [...without(time, key), { processor, time, key, atMs }];
      },
      get: (key: string) =>
        timers.find((one) => one.processor === processor && one.time === time && one.key === key)?.atMs,
      cancel: (key: string) => {
        timers = without(time, key);
      },
    });
    const admitted = store<readonly [number, number]>('admitted ');
    try {
      work({
        version,
        cells: store('cell '),
        facts: store('fact '),
        admitted: {
          get: (key) => {
            const [writtenMs, value] = admitted.get(key) ?? [Number.NEGATIVE_INFINITY, 0];
            return writtenMs + logic.ADMITTED_MS < nowMs ? undefined : value;
          },
          put: (key, value) => admitted.put(key, [nowMs, value]),
        },
        logTimer: timer('log'),
        eventTimer: timer('event'),
        emit: (topic, key, value) => outputs.push([topic, key, value]),
      });
    } catch {
      states.set(processor, before);
      timers = timersBefore;
      dead();
      return;
    }
    for (const [topic, key, value] of outputs) {
      write(topic, key, value, nowMs);
      if (topic === 'fin') feed('t', { topic, key, value });
      if (topic === 'out') windowed.add({ key, value });
    }
  };
  const feed = (processor: string, { topic, key, value }: Pick<Input, 'topic' | 'key' | 'value'>): void => {
    const step = { a: logic.normalize, b: logic.normalize, facts: logic.learn, fin: logic.tally }[topic];
    const own = processor === 'e' ? logic.expand : logic.gather;
    const moment = { topic, key, logTimeMs: nowMs };
    if (isHazard(hazard, (step ?? own).name, value, moment)) {
      write('dlq', topic, value, nowMs);
      return;
    }
    if (topic !== 'facts' && value.eventTimeMs > (streamTimes.get(processor) ?? Number.NEGATIVE_INFINITY)) {
      streamTimes.set(processor, value.eventTimeMs);
      const next = () => due('event', processor, value.eventTimeMs);
      for (let timer = next(); timer !== undefined; timer = next()) fire(timer);
    }
    run(
      processor,
      (tools) => (step ?? own)(value, moment, tools),
      () => write('dlq', topic, value, nowMs),
    );
  };
  const fire = (timer: Timer): void => {
    timers = timers.filter((one) => one !== timer);
    const moment = { topic: '', key: timer.key, atMs: timer.atMs, logTimeMs: nowMs };
    const work = timer.time === 'log' ? logic.expire : logic.settle;
    if (isHazard(hazard, work.name, null, moment)) {
      write('dlq', timer.processor, NOTHING, nowMs);
      return;
    }
    run(
      timer.processor,
      (tools) => work(moment, tools),
      () => write('dlq', timer.processor, NOTHING, nowMs),
    );
  };
  const fireLog = (byMs: number): void => {
    for (let timer = due('log', null, byMs); timer !== undefined; timer = due('log', null, byMs)) {
      nowMs = Math.max(nowMs, timer.atMs);
      fire(timer);
    }
    for (let dueMs = windowed.dueMs(); dueMs <= byMs; dueMs = windowed.dueMs()) {
      nowMs = Math.max(nowMs, dueMs);
      windowed.close();
    }
  };
  const windowed = createWindows(
    () => nowMs,
    (key, value) => write('win', key, value, nowMs),
  );
  const foldAll = (all: readonly Input[], lastMs: number): void => {
    for (const input of all) {
      if (input.logTimeMs > lastMs) break;
      fireLog(input.logTimeMs);
      nowMs = input.logTimeMs;
      feed(name, input);
    }
    fireLog(lastMs);
  };
  foldAll(inputs.first, Math.min(untilMs, cutMs));
  if (cutMs > untilMs) return;
  nowMs = cutMs;
  version = 2;
  timers = timers.filter(({ time }) => time !== 'log');
  for (const state of states.values())
    for (const key of state.keys()) if (key.startsWith('admitted ')) state.delete(key);
  if (name !== 'nb') foldAll(inputs.second, untilMs);
}

const NOTHING: logic.Value = { kind: '', number: 0, hash: 0, eventTimeMs: 0 };

const compare = (x: Input, y: Input): number =>
  x.logTimeMs - y.logTimeMs ||
  compareText(x.topic, y.topic) ||
  x.partition - y.partition ||
  compareText(x.writer, y.writer) ||
  x.order - y.order;
