/** Room for many small values, one behind the other: a view of it costs less than a buffer of its own. */

const SLAB_BYTES = 64 * 1024;

/** Bytes that were handed out are never written again. A slab lives as long as a view of it does. */
export class Slab {
  bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where the next value begins. */
  at = 0;

  /** What was written up to `end`; null when that lies beyond the end: then there is room, and it is written again. */
  take(end: number): Buffer | null {
    const from = this.at;
    if (end <= this.bytes.length) {
      this.at = end;
      return this.bytes.subarray(from, end);
    }
    this.bytes = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, end - from));
    this.at = 0;
    return null;
  }
}
