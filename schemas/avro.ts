/**
 * Avro schema literals and the TypeScript types that derive from them: one truth, no generated files.
 *
 * A schema is written once, `as const`; `ValueOf<typeof schema>` is the type of its values:
 *
 *     const point = { type: 'record', name: 'Point', fields: [{ name: 'x', type: 'double' }] } as const;
 *     type Point = ValueOf<typeof point>; // { readonly x: number }
 *
 * | Avro | TypeScript |
 * | --- | --- |
 * | `string` | `string` |
 * | `int`, `float`, `double` | `number` |
 * | `long` | `bigint`, exact |
 * | `long` `timestamp-millis` | `number`, epoch milliseconds |
 * | `bytes` | `Buffer` |
 * | `bytes` `decimal`, scale 0 | `bigint` |
 * | `enum` | union of its symbols |
 * | `array`, `map` | `readonly T[]`, `Readonly<Record<string, T>>` |
 * | union | union; written unwrapped, so its branches must differ in kind |
 *
 * Formats: Avro 1.12 specification, sections "Primitive Types", "Complex Types", "Logical Types".
 */

export type AvroSchema =
  | 'null'
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'bytes'
  | 'string'
  | { readonly type: 'long'; readonly logicalType: 'timestamp-millis' }
  | {
      readonly type: 'bytes';
      readonly logicalType: 'decimal';
      readonly precision: number;
      readonly scale: 0;
    }
  | {
      readonly type: 'enum';
      readonly name: string;
      readonly symbols: readonly string[];
      readonly default?: string;
    }
  | { readonly type: 'array'; readonly items: AvroSchema }
  | { readonly type: 'map'; readonly values: AvroSchema }
  | RecordSchema
  | readonly AvroSchema[];

export interface FieldSchema {
  readonly name: string;
  readonly type: AvroSchema;
  /** Units and meaning; part of the registered schema. */
  readonly doc?: string;
  readonly default?: unknown;
}

export interface RecordSchema {
  readonly type: 'record';
  readonly name: string;
  readonly namespace?: string;
  readonly doc?: string;
  readonly fields: readonly FieldSchema[];
}

type Primitive = {
  null: null;
  boolean: boolean;
  int: number;
  long: bigint;
  float: number;
  double: number;
  bytes: Buffer;
  string: string;
};

/** The TypeScript type of the values of a schema; `unknown` for a schema that is not a literal. */
export type ValueOf<S> = RecordSchema extends S ? unknown : LiteralValueOf<S>;

type LiteralValueOf<S> = S extends keyof Primitive
  ? Primitive[S]
  : S extends { readonly logicalType: 'timestamp-millis' }
    ? number
    : S extends { readonly logicalType: 'decimal' }
      ? bigint
      : S extends { readonly type: 'enum'; readonly symbols: readonly (infer Symbol)[] }
        ? Symbol
        : S extends { readonly type: 'array'; readonly items: infer Items }
          ? readonly ValueOf<Items>[]
          : S extends { readonly type: 'map'; readonly values: infer Values }
            ? { readonly [key: string]: ValueOf<Values> }
            : S extends { readonly type: 'record'; readonly fields: infer Fields }
              ? Fields extends readonly FieldSchema[]
                ? { readonly [F in Fields[number] as F['name']]: ValueOf<F['type']> }
                : never
              : S extends readonly (infer Branch)[]
                ? Branch extends unknown
                  ? ValueOf<Branch>
                  : never
                : never;

/** Epoch milliseconds, as a JavaScript number. */
export const timestampMs = { type: 'long', logicalType: 'timestamp-millis' } as const;

/** A raw amount in the smallest unit: uint256 needs 78 digits. Two's complement, big-endian, shortest form. */
export const rawAmount = { type: 'bytes', logicalType: 'decimal', precision: 78, scale: 0 } as const;

/** A value or unknown. `null` never means zero. */
export const nullable = <const S extends AvroSchema>(schema: S) => ['null', schema] as const;

/** The namespace of every record. */
export const NAMESPACE = 'baleen';
