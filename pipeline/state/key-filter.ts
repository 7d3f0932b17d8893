/** A set of keys in a few bits each: what it says is absent is absent, what it says is there mostly is. */

/** Keys of the first layer; each further one is four times as large as the one before. */
const FIRST_LAYER_KEYS = 16_384;
const GROWTH = 4;
/** With four probes about one absent key in four hundred is taken for one that is there. */
const BITS_PER_KEY = 16;
const PROBES = 4;

/** A Bloom filter that grows. Holds no keys, so nothing can be taken out. */
export interface KeyFilter {
  add(key: string): void;
  /** False: the key was never added. */
  mayHold(key: string): boolean;
}

interface Layer {
  readonly words: Uint32Array;
  /** Bits less one: their number is a power of two. */
  readonly mask: number;
  room: number;
}

const createLayer = (keys: number): Layer => {
  const bits = keys * BITS_PER_KEY;
  return { words: new Uint32Array(bits / 32), mask: bits - 1, room: keys };
};

/** Two hashes of a key, read by the callers right after `hash`: a pair for each key would be garbage. */
let [first, step] = [0, 0];

export function createKeyFilter(): KeyFilter {
  let newest = createLayer(FIRST_LAYER_KEYS);
  let layers = [newest];
  let keys = FIRST_LAYER_KEYS;
  return {
    add: (key) => {
      if (newest.room === 0) {
        keys *= GROWTH;
        newest = createLayer(keys);
        // The largest first: most keys are there.
        layers = [newest, ...layers];
      }
      newest.room -= 1;
      const { words, mask } = newest;
      hash(key);
      for (let probe = 0, at = first; probe < PROBES; probe++, at = (at + step) | 0) {
        const bit = at & mask;
        words[bit >>> 5] = (words[bit >>> 5] ?? 0) | (1 << (bit & 31));
      }
    },
    mayHold: (key) => {
      hash(key);
      for (const layer of layers) if (holds(layer)) return true;
      return false;
    },
  };
}

function holds({ words, mask }: Layer): boolean {
  for (let probe = 0, at = first; probe < PROBES; probe++, at = (at + step) | 0) {
    const bit = at & mask;
    if (((words[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false;
  }
  return true;
}

/** Of code units, two at a time. Only decides which bits are used: never leaves the process. */
function hash(key: string): void {
  let [a, b] = [0x9747b28c, key.length];
  const end = key.length - 1;
  let at = 0;
  for (; at < end; at += 2) {
    const pair = key.charCodeAt(at) | (key.charCodeAt(at + 1) << 16);
    a = Math.imul(a ^ pair, 0x5bd1e995);
    a ^= a >>> 15;
    b = Math.imul(b, 0x85ebca6b) + pair;
    b = (b << 13) | (b >>> 19);
  }
  if (at === end) {
    a = Math.imul(a ^ key.charCodeAt(at), 0x5bd1e995);
    b = Math.imul(b, 0x85ebca6b) + key.charCodeAt(at);
  }
  first = mixed(a);
  step = mixed(b) | 1;
}

function mixed(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
