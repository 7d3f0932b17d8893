/** Entries over texts that are there, for those who look at a state: whatever is written is forgotten. */
import { wellFormed } from './byte-order.ts';
import type { Codec, Entries, Segment } from './store.ts';

/** `textOf` is asked with well-formed keys, without the prefix of the store. */
export function readOnlyEntries<V>(codec: Codec<V>, textOf: (key: string) => string | undefined): Entries<V> {
  const segment = (prefix: string): Segment<V> => {
    const get = (key: string): V | undefined => {
      const text = textOf(wellFormed(prefix + key));
      return text === undefined ? undefined : codec.decode(text);
    };
    return { get, peek: get, put: () => {}, delete: () => {} };
  };
  return { ...segment(''), segment, dropBelow: () => {} };
}
