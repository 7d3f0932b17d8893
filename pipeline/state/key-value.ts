/** The plain store: keys to JSON values, with an optional retention in log time. */
import { durationProblem, refuseProblems } from './durations.ts';
import { type Codec, type Json, jsonCodec, type StoreDeclaration } from './store.ts';

/** Values are never changed in place: `put` a new one. Keys are compared by their bytes. */
export interface KeyValueStore<V> {
  get(key: string): V | undefined;
  put(key: string, value: V): void;
  delete(key: string): void;
}

export interface KeyValueOptions<V> {
  /** How long an entry is kept after its last write, in log time; default for ever. Past it, it reads as absent. */
  readonly retentionMs?: number;
  /** Left out: JSON. */
  readonly codec?: Codec<V>;
}

/** Values that JSON holds need no codec. Throws GRAPH_INVALID for a retention that is not whole milliseconds. */
export function keyValue<V extends Json = Json>(
  options?: Pick<KeyValueOptions<V>, 'retentionMs'>,
): StoreDeclaration<KeyValueStore<V>>;
export function keyValue<V>(
  options: KeyValueOptions<V> & { readonly codec: Codec<V> },
): StoreDeclaration<KeyValueStore<V>>;
export function keyValue<V>(options: KeyValueOptions<V> = {}): StoreDeclaration<KeyValueStore<V>> {
  const { retentionMs = null } = options;
  if (retentionMs !== null)
    refuseProblems([durationProblem('retentionMs', retentionMs, 1, 'leave it out to keep entries for ever')]);
  const codec = options.codec ?? (jsonCodec() as unknown as Codec<V>);
  return {
    kind: 'key-value',
    settings: { retentionMs },
    open: (access) => {
      if (retentionMs === null) return { handle: access.entries(codec) };
      return { handle: expiring(retentionMs, codec, access) };
    },
  };
}

const SEGMENT_DIGITS = 16;

/**
 * Entries live in segments of log time, one retention long: `<segment>:<key>`. What is still valid is in the present
 * segment or the one before; older ones are dropped whole.
 */
function expiring<V>(
  retentionMs: number,
  codec: Codec<V>,
  access: Parameters<StoreDeclaration['open']>[0],
): KeyValueStore<V> {
  const entries = access.entries<{ readonly writtenMs: number; readonly value: V }>({
    encode: ({ writtenMs, value }) => `${writtenMs.toString(36)}:${codec.encode(value)}`,
    decode: (text) => {
      const cut = text.indexOf(':');
      return { writtenMs: Number.parseInt(text.slice(0, cut), 36), value: codec.decode(text.slice(cut + 1)) };
    },
  });
  let presentSegment = -1;
  let [present, previous] = ['', ''];
  const turn = (): number => {
    const nowMs = access.context.logTimeMs;
    const segment = Math.floor(nowMs / retentionMs);
    if (segment !== presentSegment) {
      presentSegment = segment;
      present = prefix(segment);
      previous = prefix(Math.max(0, segment - 1));
      entries.dropBelow(previous);
    }
    return nowMs;
  };
  return {
    get: (key) => {
      const nowMs = turn();
      const entry = entries.get(present + key) ?? entries.get(previous + key);
      return entry === undefined || entry.writtenMs + retentionMs < nowMs ? undefined : entry.value;
    },
    put: (key, value) => {
      const writtenMs = turn();
      entries.put(present + key, { writtenMs, value });
    },
    delete: (key) => {
      turn();
      entries.delete(present + key);
      entries.delete(previous + key);
    },
  };
}

const prefix = (segment: number): string => `${String(segment).padStart(SEGMENT_DIGITS, '0')}:`;
