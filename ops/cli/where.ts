/** Conditions on records: `usd>250000`, `fromLabel.name~binance`, `asset=native`. */
import { compareDecimals, isDecimalText, numberToDecimalText } from '#pipeline/amounts.ts';
import { nearest } from '#pipeline/config/nearest.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { AvroSchema, RecordSchema } from '#schemas/avro.ts';

/** What of a record conditions can ask for, besides its value. */
export interface Placed {
  readonly key: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly position: string | null;
  readonly value: unknown;
}

export type Condition = (record: Placed) => boolean;

const PATTERN = /^\s*([A-Za-z_][\w.]*)\s*(!=|>=|<=|=|>|<|~)(.*)$/s;
const PLACE_NAMES = ['key', 'partition', 'offset', 'timestampMs', 'position'] as const;
const TIME = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)?)?$/;
const MAX_TEXT = 1_000;

/** Throws CONFIG_INVALID when it is no condition, or asks for a field that the records do not have. */
export function parseCondition(text: string, schema: RecordSchema): Condition {
  const match = PATTERN.exec(text.slice(0, MAX_TEXT));
  if (match === null) {
    throw refusal(text, 'a field, one of = != > >= < <= ~ and a value, such as usd>250000');
  }
  const path = (match[1] ?? '').split('.');
  const operator = match[2] ?? '';
  const wanted = (match[3] ?? '').trim();
  const isPlace = path.length === 1 && PLACE_NAMES.some((name) => name === path[0]);
  const isOfValue = hasField(schema, path);
  if (!isOfValue && !isPlace) {
    const known = [...schema.fields.map(({ name }) => name), ...PLACE_NAMES];
    const [guess] = nearest(path[0] ?? '', known);
    throw refusal(
      text,
      guess === undefined || guess === path[0]
        ? `one of the fields ${known.join(', ')}`
        : `a field; did you mean ${guess}?`,
    );
  }
  const operand = operandOf(wanted);
  if ('<>'.includes(operator.charAt(0)) && operand === null) {
    throw refusal(text, `a number or a time such as 2026-01-31T12:00:00Z after ${operator}`);
  }
  const test = testOf(operator, wanted, operand);
  return (record) => {
    const values = isOfValue ? valuesAt(record.value, path) : valuesAt(record, path);
    // Of a list, one that holds is enough; "not equal" must hold for all.
    return operator === '!=' ? values.every(test) : values.some(test);
  };
}

const refusal = (text: string, expected: string): PipelineError =>
  new PipelineError(
    'CONFIG_INVALID',
    `--where: expected ${expected}, found ${JSON.stringify(text.slice(0, 100))}`,
  );

/** Exact decimal text of a number or a time (epoch milliseconds); null when it is neither. */
function operandOf(wanted: string): string | null {
  if (isDecimalText(wanted)) return wanted;
  const timeMs = TIME.test(wanted) ? Date.parse(wanted) : Number.NaN;
  return Number.isNaN(timeMs) ? null : String(timeMs);
}

function testOf(operator: string, wanted: string, operand: string | null): (value: unknown) => boolean {
  if (operator === '~') {
    const part = wanted.toLowerCase();
    return (value) => textOf(value)?.toLowerCase().includes(part) === true;
  }
  const isEqual = (value: unknown): boolean => {
    if (textOf(value) === wanted) return true;
    const number = decimalOf(value);
    return number !== null && operand !== null && compareDecimals(number, operand) === 0;
  };
  if (operator === '=') return isEqual;
  if (operator === '!=') return (value) => !isEqual(value);
  return (value) => {
    const number = decimalOf(value);
    if (number === null || operand === null) return false;
    const order = compareDecimals(number, operand);
    if (operator === '>') return order > 0;
    if (operator === '<') return order < 0;
    return operator === '>=' ? order >= 0 : order <= 0;
  };
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return 'null';
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value) ? String(value) : null;
}

/** Amounts are decimal text; null (unknown) is no number, so no comparison of size holds for it. */
function decimalOf(value: unknown): string | null {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return numberToDecimalText(value);
  return typeof value === 'string' && isDecimalText(value) ? value : null;
}

/** All values at a path; a list on the way stands for all its items. */
function valuesAt(value: unknown, path: readonly string[]): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((item) => valuesAt(item, path));
  const [name, ...rest] = path;
  if (name === undefined) return [value];
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return [null];
  return valuesAt(Reflect.get(value, name), rest);
}

function hasField(schema: AvroSchema, path: readonly string[]): boolean {
  const [name, ...rest] = path;
  if (name === undefined) return true;
  if (typeof schema === 'string') return false;
  if ('length' in schema) return schema.some((branch) => hasField(branch, path));
  if (schema.type === 'array') return hasField(schema.items, path);
  if (schema.type === 'map') return hasField(schema.values, rest);
  if (schema.type !== 'record') return false;
  const field = schema.fields.find((one) => one.name === name);
  return field !== undefined && hasField(field.type, rest);
}
