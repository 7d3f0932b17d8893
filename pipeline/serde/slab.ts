/** Room for many small values, one behind the other: a view of it costs less than a buffer of its own. */

const SLAB_BYTES = 64 * 1024;

/** Bytes that were handed out are never written again. A slab lives as long as a view of it does. */
export class Slab {
  #bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #at = 0;

  /**
   * What `write` writes at `at`; it returns where that ends. When that is beyond the end of `bytes` it is called again,
   * with more room.
   */
  write(write: (bytes: Buffer, at: number) => number): Buffer {
    for (;;) {
      const from = this.#at;
      const end = write(this.#bytes, from);
      if (end <= this.#bytes.length) {
        this.#at = end;
        return this.#bytes.subarray(from, end);
      }
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, end - from));
      this.#at = 0;
    }
  }
}
