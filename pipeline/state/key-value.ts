/** The plain store: keys to JSON values, with an optional retention in log time. */
import { durationProblem, refuseProblems } from './durations.ts';
import { type Codec, type Json, jsonCodec, type Segment, type StoreDeclaration } from './store.ts';

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
  const entries = access.entries<Written<V>>(
    {
      encode: ({ writtenMs, value }) => `${writtenMs.toString(36)}:${codec.encode(value)}`,
      decode: (text) => {
        const cut = text.indexOf(':');
        const writtenMs = Number.parseInt(text.slice(0, cut), 36);
        return { writtenMs, value: codec.decode(text.slice(cut + 1)) };
      },
    },
    'seldom-read',
  );
  let turned: Turned<V> | null = null;
  const turn = (): Turned<V> => {
    const segment = Math.floor(access.context.logTimeMs / retentionMs);
    if (turned?.segment === segment) return turned;
    const previous = prefix(Math.max(0, segment - 1));
    entries.dropBelow(previous);
    turned = {
      segment,
      present: entries.segment(prefix(segment)),
      previous: segment > 0 ? entries.segment(previous) : null,
    };
    return turned;
  };
  return {
    get: (key) => {
      const { present, previous } = turn();
      const entry = present.get(key) ?? previous?.get(key);
      return entry === undefined || entry.writtenMs + retentionMs < access.context.logTimeMs
        ? undefined
        : entry.value;
    },
    put: (key, value) => turn().present.put(key, { writtenMs: access.context.logTimeMs, value }),
    delete: (key) => {
      const { present, previous } = turn();
      present.delete(key);
      previous?.delete(key);
    },
  };
}

interface Written<V> {
  readonly writtenMs: number;
  readonly value: V;
}

/** The segments that hold what is valid; null: there is no earlier one. */
interface Turned<V> {
  readonly segment: number;
  readonly present: Segment<Written<V>>;
  readonly previous: Segment<Written<V>> | null;
}

const prefix = (segment: number): string => `${String(segment).padStart(SEGMENT_DIGITS, '0')}:`;
