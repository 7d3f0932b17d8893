/** Buckets of doubles with a bounded relative width, cut from their bits. */

export interface Buckets {
  /** Each octave [2^e, 2^(e+1)) has 2^bits buckets of equal width. */
  readonly bits: number;
  /** Rises with the value, from one bucket to the next by 1; 0 for zero and what is below 2^-1022. Throws RangeError. */
  bucketOf(value: number): number;
  /** The middle of a bucket: at most the relative error from each value in it. */
  middleOf(bucket: number): number;
}

/** Bits of the fraction in the upper half of a double. */
const UPPER_FRACTION_BITS = 20;
/** The least double with full precision. */
const MIN_NORMAL = 2.2250738585072014e-308;

/** As few buckets as `relativeError` (0.0001 to 0.25) allows: 1 % takes 64 for each octave, 213 for each power of ten. */
export function bucketing(relativeError: number): Buckets {
  // The middle is half a width from the edges; relative to the lower edge, the worst, 2^-(bits+1).
  let bits = 1;
  while (1 / (2 << bits) > relativeError) bits += 1;
  const shift = UPPER_FRACTION_BITS - bits;
  const view = new DataView(new ArrayBuffer(8));
  return {
    bits,
    bucketOf: (value) => {
      if (!Number.isFinite(value)) throw new RangeError(`expected a finite number, found ${value}`);
      const magnitude = Math.abs(value);
      if (magnitude < MIN_NORMAL) return 0;
      view.setFloat64(0, magnitude);
      const bucket = view.getUint32(0) >>> shift;
      return value < 0 ? -bucket : bucket;
    },
    middleOf: (bucket) => {
      if (bucket === 0) return 0;
      view.setUint32(0, ((Math.abs(bucket) << 1) | 1) << (shift - 1));
      view.setUint32(4, 0);
      const magnitude = view.getFloat64(0);
      return bucket < 0 ? -magnitude : magnitude;
    },
  };
}
