/**
 * What the simulated topology computes: everything depends on the order of everything. Written against small tools, so
 * that the engine and the reference run the same lines over state of their own.
 *
 *     a (2), b (1), facts -> na, nb -> mid (2) -> e -> dev (2)
 *                                      mid, dev -> s, with t and w in the same task -> fin, out, win (2)
 *
 * Version 2: nc in the place of nb, s reads facts too, and two stores begin anew (`DROPPED`).
 */
import { crc32 } from 'node:zlib';

/** Count and hash. */
export type Cell = readonly [count: number, hash: number];

export interface Value {
  readonly kind: string;
  readonly number: number;
  readonly hash: number;
  readonly eventTimeMs: number;
}

export interface Moment {
  readonly topic: string;
  readonly key: string;
  readonly logTimeMs: number;
}

interface Map2<V> {
  get(key: string): V | undefined;
  put(key: string, value: V): void;
}

export interface Tools {
  /** Goes into everything: what one version computes, another does not. */
  readonly version: number;
  readonly cells: Map2<Cell>;
  readonly facts: Map2<number>;
  /** Entries live for `ADMITTED_MS` of log time. */
  readonly admitted: Map2<number>;
  readonly logTimer: { set(key: string, atMs: number): void; get(key: string): number | undefined };
  readonly eventTimer: { set(key: string, atMs: number): void; cancel(key: string): void };
  emit(topic: 'mid' | 'dev' | 'fin' | 'out' | 'win', key: string, value: Value): void;
}

export const ADMITTED_MS = 25;

/** Stores whose state ends with version 1, of every processor. */
export const DROPPED = ['admitted', 'logTimer'] as const;

/** Windows of `w`, over event time. They close by event time, or by log time where nothing comes any more. */
export const WINDOWS = { hop: { sizeMs: 20, advanceMs: 5 }, tumble: { sizeMs: 10, advanceMs: 10 } } as const;
export const GRACE_MS = 6;
export const CLOSE_DELAY_MS = 15;

/** Of what a window holds: how many, and a sum that knows no order. */
export type Total = readonly [records: number, sum: number];
export const addToTotal = ([records, sum]: Total, { hash }: Value): Total => [
  records + 1,
  (sum + hash) % MODULUS,
];
const MODULUS = 2 ** 30;
export const windowValue = (name: string, startMs: number, [number, hash]: Total): Value => ({
  kind: name,
  number,
  hash,
  eventTimeMs: startMs,
});

const hash = (...parts: readonly unknown[]): number => crc32(parts.join('|')) >>> 1;

const bump = (tools: Tools, moment: Moment, value: Value): Cell => {
  const { topic, key, logTimeMs } = moment;
  const [count, before] = tools.cells.get(key) ?? [0, 0];
  const parts = [before, logTimeMs, topic, value.kind, value.number, value.hash, tools.facts.get('fact')];
  parts.push(tools.version);
  const cell: Cell = [count + 1, hash(...parts)];
  tools.cells.put(key, cell);
  return cell;
};

export function learn(value: Value, moment: Moment, tools: Tools): void {
  tools.facts.put('fact', hash(tools.facts.get('fact') ?? 0, value.number, moment.logTimeMs));
}

/** Throws on some records, after it has changed state and emitted: nothing of that may stay. */
export function normalize(value: Value, moment: Moment, tools: Tools): void {
  const { key } = moment;
  const [count, h] = bump(tools, moment, value);
  tools.emit('mid', key, { ...value, kind: 'n', hash: h });
  const k = Number(key);
  if (k % 3 === 0) tools.emit('mid', String(k + 1), { ...value, kind: 'n2', hash: h });
  if (k === 7 && count % 2 === 0) throw new Error('planted');
}

export function expand(value: Value, moment: Moment, tools: Tools): void {
  const { key, logTimeMs } = moment;
  const [count, h] = bump(tools, moment, value);
  const k = Number(key);
  // Some are due in the past: they fire at once, at the present time.
  const delayMs = h % 3 === 0 ? -5 : 12 + (k % 3);
  if (tools.logTimer.get(key) === undefined) tools.logTimer.set(key, logTimeMs + delayMs);
  if (count % 2 === 0) tools.emit('dev', String(k >> 1), { ...value, kind: 'e', hash: h });
}

export function expire(moment: Moment & { readonly atMs: number }, tools: Tools): void {
  const { key, atMs, logTimeMs } = moment;
  const [count, before] = tools.cells.get(key) ?? [0, 0];
  const h = hash('t', before, logTimeMs, atMs);
  tools.cells.put(key, [0, h]);
  tools.emit('dev', String(Number(key) >> 1), { kind: 'close', number: count, hash: h, eventTimeMs: atMs });
}

export function gather(value: Value, moment: Moment, tools: Tools): void {
  const { key } = moment;
  const [count, h] = bump(tools, moment, value);
  const id = String(h % 4);
  const seen = tools.admitted.get(id);
  tools.admitted.put(id, h);
  if (count % 3 === 0) tools.eventTimer.cancel(key);
  else tools.eventTimer.set(key, value.eventTimeMs + 6 + (h % 5));
  tools.emit('fin', key, { ...value, kind: seen === undefined ? 's' : `d${seen}`, hash: h });
}

export function settle(moment: Moment & { readonly atMs: number }, tools: Tools): void {
  const { key, atMs } = moment;
  const [count, before] = tools.cells.get(key) ?? [0, 0];
  const h = hash('v', before, atMs);
  tools.cells.put(key, [count, h]);
  tools.emit('fin', key, { kind: 'event', number: count, hash: h, eventTimeMs: atMs });
}

export function tally(value: Value, moment: Moment, tools: Tools): void {
  const [count, h] = bump(tools, moment, value);
  if (count % 2 === 1) tools.emit('out', moment.key, { ...value, kind: 'o', number: count, hash: h });
}
