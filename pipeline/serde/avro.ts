/** Schemas by the Avro library: it checks them, and resolves what earlier versions wrote. `codec.ts` does the rest. */
import avsc from 'avsc';
import { PipelineError } from '#pipeline/errors.ts';
import type { AvroSchema, RecordSchema } from '#schemas/avro.ts';
import { bigintToBytes, bytesToBigint } from './decimal.ts';

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
