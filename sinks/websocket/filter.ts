/** What a subscription lets through. Pure. */
import type { Topic } from '#schemas/topics.ts';

export type Filter = (value: unknown) => boolean;

export type FilterResult =
  | { readonly ok: true; readonly filter: Filter }
  | { readonly ok: false; readonly reason: string };

/** Values that a filter may compare with; exact integers come as decimal text. */
type Wanted = string | number | boolean | null;

/** More conditions than any topic has use for are refused. */
const MAX_CONDITIONS = 32;

const isWanted = (value: unknown): value is Wanted =>
  value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields that are one value: lists and records within the record cannot be compared. */
const comparable = (topic: Topic): readonly string[] =>
  topic.schema.fields.filter(({ type }) => !isNested(type)).map(({ name }) => name);

function isNested(type: unknown): boolean {
  if (Array.isArray(type)) return type.some(isNested);
  return isObject(type) && (type.type === 'record' || type.type === 'array' || type.type === 'map');
}

/**
 * Conditions of `filter`, all of which must hold: equality of a field (null: unknown), and `severityAtLeast` where the
 * topic has a severity. A field that the topic does not have is refused: a typing error must not let everything through.
 */
export function compileFilter(topic: Topic, filter: unknown): FilterResult {
  if (filter === undefined || filter === null) return { ok: true, filter: () => true };
  if (!isObject(filter)) return { ok: false, reason: 'filter: expected an object of fields and values' };
  const conditions = Object.entries(filter);
  if (conditions.length > MAX_CONDITIONS)
    return { ok: false, reason: `filter: expected at most ${MAX_CONDITIONS} conditions` };
  const fields = comparable(topic);
  const tests: Filter[] = [];
  for (const [name, wanted] of conditions) {
    if (name === 'severityAtLeast' && fields.includes('severity')) {
      if (typeof wanted !== 'number')
        return { ok: false, reason: 'filter.severityAtLeast: expected a number, 0 to 100' };
      tests.push((value) => isObject(value) && Number(value.severity) >= wanted);
    } else if (!fields.includes(name)) {
      return {
        ok: false,
        reason: `filter: ${topic.name} can be filtered by ${fields.join(', ')}; found another field`,
      };
    } else if (!isWanted(wanted)) {
      return { ok: false, reason: `filter.${name}: expected text, a number, true, false or null` };
    } else {
      tests.push((value) => isObject(value) && isEqual(value[name], wanted));
    }
  }
  return { ok: true, filter: (value) => tests.every((matches) => matches(value)) };
}

const isEqual = (found: unknown, wanted: Wanted): boolean =>
  typeof found === 'bigint' ? found.toString() === String(wanted) : found === wanted;
