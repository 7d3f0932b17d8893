/**
 * Readers and writers of records, compiled from their schemas: one function for each record type, as an engineer would
 * write it by hand for that one type. Schemas are the project's own; names are checked before they become source text.
 */
import { PipelineError } from '#pipeline/errors.ts';
import type { AvroSchema, RecordSchema } from '#schemas/avro.ts';
import { AvroReader } from './reader.ts';
import { AvroWriter } from './writer.ts';

/** Bytes of a record type; behind any prefix. */
export interface Codec {
  /** Writes `value` at `at`; where it ends, which may lie beyond the end of `bytes`: then it did not fit. */
  write(value: unknown, bytes: Buffer, at: number): number;
  /** Reads a value from `at` to the end. Throws RangeError when the bytes are not one. */
  read(bytes: Buffer, at: number): unknown;
}

type Node = Exclude<AvroSchema, string | readonly AvroSchema[]>;

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const PRIMITIVES = new Set(['boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);

/** What is compiled needs at run time, by name. */
class Bindings {
  readonly names: string[] = [];
  readonly values: unknown[] = [];

  add(value: unknown): string {
    const name = `b${this.names.length}`;
    this.names.push(name);
    this.values.push(value);
    return name;
  }
}

const reader = new AvroReader();
const writer = new AvroWriter();

/** Throws SCHEMA_UNSUPPORTED for what the table in `schemas/avro.ts` does not have. */
export function compileCodec(schema: RecordSchema): Codec {
  const readRecord = compileReader(schema);
  const writeRecord = compileWriter(schema);
  return {
    write: (value, bytes, at) => {
      writer.begin(bytes, at);
      writeRecord(writer, value);
      return writer.at;
    },
    read: (bytes, at) => {
      reader.begin(bytes, at);
      const value = readRecord(reader);
      reader.finish();
      return value;
    },
  };
}

function compileReader(schema: RecordSchema): (reader: AvroReader) => unknown {
  const bindings = new Bindings();
  const body = `'use strict'; return (r) => (${readerOf(schema, bindings, schema.name)});`;
  return new Function(...bindings.names, body)(...bindings.values);
}

function compileWriter(schema: RecordSchema): (writer: AvroWriter, value: unknown) => void {
  const bindings = new Bindings();
  const record = writerOf(schema, bindings, schema.name);
  return new Function(...bindings.names, `'use strict'; return ${record};`)(...bindings.values);
}

const unsupported = (path: string, what: string): PipelineError =>
  new PipelineError(
    'SCHEMA_UNSUPPORTED',
    `${path}: ${what}; expected a type of the table in schemas/avro.ts`,
  );

const checkedName = (name: string, path: string): string => {
  if (!NAME.test(name)) throw unsupported(path, `${JSON.stringify(name)} is no name`);
  return name;
};

/** An expression that reads a value from `r`. */
function readerOf(schema: AvroSchema, bindings: Bindings, path: string): string {
  if (typeof schema === 'string') {
    if (schema === 'null') return 'null';
    if (!PRIMITIVES.has(schema)) throw unsupported(path, `type ${schema}`);
    return `r.${schema}()`;
  }
  if (Array.isArray(schema)) {
    // Each branch is read where it is chosen; the last needs no comparison.
    const branches = schema.map((branch) => readerOf(branch, bindings, path));
    const chosen = branches.map((read, index) =>
      index === branches.length - 1 ? read : `i === ${index} ? ${read} : `,
    );
    return `((i) => (${chosen.join('')}))(r.index(${branches.length}))`;
  }
  const node = schema as Node;
  switch (node.type) {
    case 'long':
      return 'r.int()';
    case 'bytes':
      return 'r.decimal()';
    case 'enum':
      return `${bindings.add(node.symbols)}[r.index(${node.symbols.length})]`;
    case 'array': {
      const item = readerOf(node.items, bindings, `${path}[]`);
      return `((a) => { for (let n = r.block(); n !== 0; n = r.block()) for (; n > 0; n -= 1) a.push(${item}); return a; })([])`;
    }
    case 'map': {
      const value = readerOf(node.values, bindings, `${path}{}`);
      const set = bindings.add(define);
      return `((m) => { for (let n = r.block(); n !== 0; n = r.block()) for (; n > 0; n -= 1) ${set}(m, r.string(), ${value}); return m; })({})`;
    }
    case 'record': {
      const fields = node.fields.map(({ name, type }) => {
        const at = `${path}.${name}`;
        return `${checkedName(name, at)}: ${readerOf(type, bindings, at)}`;
      });
      return `{ ${fields.join(', ')} }`;
    }
    default:
      throw unsupported(path, 'a type that is not known');
  }
}

/** Also `__proto__` is a key like any other: keys come from outside. */
function define(map: object, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
  else (map as Record<string, unknown>)[key] = value;
}

/** An expression of a function (w, v) that writes a value, with every check that its type needs. */
function writerOf(schema: AvroSchema, bindings: Bindings, path: string): string {
  const named = JSON.stringify(path);
  if (typeof schema === 'string') {
    if (schema === 'null') return '(w, v) => {}';
    if (!PRIMITIVES.has(schema)) throw unsupported(path, `type ${schema}`);
    return `(w, v) => w.${schema}(v, ${named})`;
  }
  if (Array.isArray(schema)) return unionWriterOf(schema, bindings, path);
  const node = schema as Node;
  switch (node.type) {
    case 'long':
      return `(w, v) => w.millis(v, ${named})`;
    case 'bytes':
      return `(w, v) => w.decimal(v, ${named})`;
    case 'enum': {
      const indexes = bindings.add(new Map(node.symbols.map((symbol, index) => [symbol, index])));
      return `(w, v) => ${bindings.add(writeSymbol)}(w, ${indexes}, v, ${named})`;
    }
    case 'array': {
      const item = bindings.add(functionOf(node.items, `${path}[]`));
      return `(w, v) => ${bindings.add(writeArray)}(w, ${item}, v, ${named})`;
    }
    case 'map': {
      const value = bindings.add(functionOf(node.values, `${path}{}`));
      return `(w, v) => ${bindings.add(writeMap)}(w, ${value}, v, ${named})`;
    }
    case 'record': {
      const fields = node.fields.map(({ name, type }) =>
        fieldWriterOf(name, type, bindings, `${path}.${name}`),
      );
      return `(w, v) => { if (typeof v !== 'object' || v === null) throw new TypeError(${named} + ': expected a record, found ' + (v === null ? 'null' : typeof v)); ${fields.join(' ')} }`;
    }
    default:
      throw unsupported(path, 'a type that is not known');
  }
}

/** One statement: primitives are called directly. */
function fieldWriterOf(name: string, type: AvroSchema, bindings: Bindings, path: string): string {
  const value = `v.${checkedName(name, path)}`;
  if (typeof type === 'string' && PRIMITIVES.has(type))
    return `w.${type}(${value}, ${JSON.stringify(path)});`;
  return `${bindings.add(functionOf(type, path))}(w, ${value});`;
}

function functionOf(schema: AvroSchema, path: string): (writer: AvroWriter, value: unknown) => void {
  const bindings = new Bindings();
  const source = writerOf(schema, bindings, path);
  return new Function(...bindings.names, `'use strict'; return ${source};`)(...bindings.values);
}

/** How a JavaScript value shows which branch of a union it is. */
const KINDS: Readonly<Record<string, string>> = {
  null: 'v === null',
  boolean: "typeof v === 'boolean'",
  number: "typeof v === 'number'",
  bigint: "typeof v === 'bigint'",
  string: "typeof v === 'string'",
  bytes: 'v instanceof Uint8Array',
  array: 'Array.isArray(v)',
  object: "typeof v === 'object'",
};

function kindOf(schema: AvroSchema, path: string): string {
  if (Array.isArray(schema)) throw unsupported(path, 'a union in a union');
  const type = typeof schema === 'string' ? schema : (schema as Node).type;
  const logical = typeof schema === 'string' ? null : 'logicalType' in schema ? schema.logicalType : null;
  if (logical === 'decimal') return 'bigint';
  if (logical === 'timestamp-millis') return 'number';
  if (type === 'long') return 'bigint';
  if (type === 'int' || type === 'float' || type === 'double') return 'number';
  if (type === 'enum') return 'string';
  return type === 'record' || type === 'map' ? 'object' : type;
}

function unionWriterOf(branches: readonly AvroSchema[], bindings: Bindings, path: string): string {
  const kinds = branches.map((branch) => kindOf(branch, path));
  if (new Set(kinds).size !== kinds.length)
    throw unsupported(path, `branches of one kind, ${kinds.join(', ')}`);
  // An array is an object too, and bytes are: what is more special comes first.
  const order = Object.keys(KINDS).filter((kind) => kinds.includes(kind));
  const cases = order.map((kind) => {
    const index = kinds.indexOf(kind);
    const write = bindings.add(functionOf(branches[index] as AvroSchema, path));
    return `if (${KINDS[kind]}) { w.number(${index}); ${write}(w, v); }`;
  });
  const refusal = `throw new TypeError(${JSON.stringify(`${path}: expected ${kinds.join(' or ')}, found `)} + typeof v);`;
  return `(w, v) => { ${cases.join(' else ')} else ${refusal} }`;
}

function writeSymbol(
  writer: AvroWriter,
  indexes: ReadonlyMap<unknown, number>,
  value: unknown,
  path: string,
): void {
  const index = indexes.get(value);
  if (index === undefined) {
    throw new TypeError(
      `${path}: expected one of ${[...indexes.keys()].join(', ')}, found ${String(value).slice(0, 40)}`,
    );
  }
  writer.number(index);
}

type WriteItem = (writer: AvroWriter, value: unknown) => void;

function writeArray(writer: AvroWriter, item: WriteItem, value: unknown, path: string): void {
  if (!Array.isArray(value)) throw new TypeError(`${path}: expected an array, found ${typeof value}`);
  if (value.length > 0) {
    writer.number(value.length);
    for (const one of value) item(writer, one);
  }
  writer.number(0);
}

/** By key: the order in which an object was filled would show in the bytes. */
function writeMap(writer: AvroWriter, item: WriteItem, value: unknown, path: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${path}: expected a map, found ${value === null ? 'null' : typeof value}`);
  const keys = Object.keys(value).sort();
  if (keys.length > 0) {
    writer.number(keys.length);
    for (const key of keys) {
      writer.string(key, path);
      item(writer, (value as Readonly<Record<string, unknown>>)[key]);
    }
  }
  writer.number(0);
}
