/** Avro types with exact values, compiled from schema literals. Wire format: magic 0, schema id, body. */
import avsc from 'avsc';
import { PipelineError } from '#pipeline/errors.ts';
import type { AvroSchema, RecordSchema } from '#schemas/avro.ts';

/** Bytes before the Avro body: magic 0 and the schema id, big-endian. */
export const PREFIX_BYTES = 5;

const BIGINT_LONG = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: (value: number) => BigInt(value),
  toJSON: (value: bigint) => Number(value),
  isValid: (value: unknown) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
});

/** Two's complement, big-endian, shortest form. */
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

/** Reads two's complement, big-endian; empty bytes are 0. */
export function bytesToBigint(bytes: Buffer): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
}

class DecimalType extends avsc.types.LogicalType {
  override _fromValue(bytes: Buffer): bigint {
    return bytesToBigint(bytes);
  }
  override _toValue(value: unknown): Buffer | undefined {
    return typeof value === 'bigint' ? bigintToBytes(value) : undefined;
  }
  override _resolve(): undefined {
    return undefined;
  }
}

const KNOWN_LOGICAL_TYPES = new Set(['decimal', 'timestamp-millis']);

/** Throws SCHEMA_UNSUPPORTED when a logical type is not known: it would silently lose its meaning. */
export function refuseUnknownLogicalTypes(schema: AvroSchema, path: string): void {
  if (typeof schema === 'string') return;
  if (Array.isArray(schema)) {
    for (const branch of schema) refuseUnknownLogicalTypes(branch, path);
    return;
  }
  const node = schema as Exclude<AvroSchema, string | readonly AvroSchema[]>;
  if ('logicalType' in node && !KNOWN_LOGICAL_TYPES.has(node.logicalType)) {
    throw new PipelineError(
      'SCHEMA_UNSUPPORTED',
      `${path}: logical type ${node.logicalType} is not known; expected one of ${[...KNOWN_LOGICAL_TYPES].join(', ')}`,
    );
  }
  if (node.type === 'record') {
    for (const field of node.fields) refuseUnknownLogicalTypes(field.type, `${path}.${field.name}`);
  } else if (node.type === 'array') refuseUnknownLogicalTypes(node.items, `${path}[]`);
  else if (node.type === 'map') refuseUnknownLogicalTypes(node.values, `${path}{}`);
}

/** Compiles a schema. Plain longs are bigint, timestamps numbers, decimals bigint, unions unwrapped. */
export function compile(schema: RecordSchema): avsc.Type {
  refuseUnknownLogicalTypes(schema, schema.name);
  return avsc.Type.forSchema(JSON.parse(JSON.stringify(schema)), {
    logicalTypes: { decimal: DecimalType },
    wrapUnions: 'never',
    // Only the bare name: a long with a logical type keeps avsc's number.
    typeHook: (attributes) => (attributes === 'long' ? BIGINT_LONG : undefined),
  });
}

let scratch = Buffer.alloc(64 * 1024);

/** Encodes a value behind the prefix into bytes of its own. Throws what avsc throws when a value does not fit. */
export function encodeValue(type: avsc.Type, schemaId: number, value: unknown): Buffer {
  for (;;) {
    const end = type.encode(value, scratch, PREFIX_BYTES);
    if (end >= 0) {
      scratch[0] = 0;
      scratch.writeInt32BE(schemaId, 1);
      return Buffer.from(scratch.subarray(0, end));
    }
    scratch = Buffer.alloc(Math.max(scratch.length * 2, scratch.length - end));
  }
}
