/** Whole numbers as Avro decimals of scale 0: two's complement, big-endian. */

/** The shortest form. */
export function bigintToBytes(value: bigint): Buffer {
  // One bit more than the magnitude: the sign.
  const magnitude = value < 0n ? ~value : value;
  const bits = magnitude === 0n ? 1 : magnitude.toString(16).length * 4 + 1;
  const bytes = Buffer.alloc(Math.ceil(bits / 8));
  const text = BigInt.asUintN(bytes.length * 8, value)
    .toString(16)
    .padStart(bytes.length * 2, '0');
  bytes.write(text, 'hex');
  let skip = 0;
  const fill = value < 0n ? 0xff : 0;
  while (
    skip < bytes.length - 1 &&
    bytes[skip] === fill &&
    ((bytes[skip + 1] ?? 0) & 0x80) === (fill & 0x80)
  ) {
    skip += 1;
  }
  return bytes.subarray(skip);
}

/** Empty bytes are 0. */
export function bytesToBigint(bytes: Buffer): bigint {
  if (bytes.length === 0) return 0n;
  // Up to six bytes Node reads as a number.
  if (bytes.length <= 6) return BigInt(bytes.readIntBE(0, bytes.length));
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
}
