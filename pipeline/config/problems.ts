/** What is wrong with settings, one line for each: `path: found, expected; hint`. */
import type { z } from 'zod';
import { environmentName } from './environment.ts';
import { type Layered, type Origin, originOf, type Path, pathText, valueAt } from './layers.ts';
import { nearest } from './nearest.ts';
import { isSecret, keysAt } from './schema.ts';
import { foundText } from './shown.ts';

export interface Problem {
  readonly path: string;
  readonly found: string;
  readonly expected: string;
  readonly hint: string;
}

type Issue = z.core.$ZodIssue;

export interface ProblemContext {
  readonly schema: z.ZodType;
  readonly layered: Layered;
  readonly prefix: string;
  /** Path of the settings file; null when there is none. */
  readonly file: string | null;
}

export const problemLine = ({ path, found, expected, hint }: Problem): string =>
  `${path === '' ? 'settings' : path}: found ${found}, expected ${expected}; ${hint}`;

/** One issue of zod can be several problems: each unknown key is one. */
export function problemsOf(issue: Issue, context: ProblemContext): readonly Problem[] {
  const path = issue.path.filter((part) => typeof part !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey([...path, key], path, context));
  }
  const value = valueAt(context.layered.tree, path);
  const isSection = keysAt(context.schema, path).length > 0;
  return [
    {
      path: pathText(path),
      found: foundText(context.schema, path, value, !isSection),
      expected: expectation(issue),
      hint: hintFor(path, value, context),
    },
  ];
}

function unknownKey(path: Path, parent: Path, { schema, layered, file, prefix }: ProblemContext): Problem {
  const known = keysAt(schema, parent);
  const [guess] = nearest(String(path.at(-1)), known);
  const where = whereFrom(originOf(layered, path), path, { file, prefix });
  return {
    path: pathText(path),
    found: 'an unknown key',
    expected: known.length === 0 ? 'no keys here' : `one of ${known.join(', ')}`,
    hint: guess === undefined ? `take it out of ${where}` : `did you mean ${guess}? It stands in ${where}`,
  };
}

function hintFor(path: Path, value: unknown, context: ProblemContext): string {
  const { schema, layered, prefix, file } = context;
  const name = environmentName(
    prefix,
    path.filter((part) => typeof part !== 'number'),
  );
  if (value === undefined) {
    return isSecret(schema, path)
      ? `set ${name} in the environment`
      : `set ${name} in the environment, or ${pathText(path)} in the settings file`;
  }
  return `correct it in ${whereFrom(originOf(layered, path), path, { file, prefix })}`;
}

function whereFrom(origin: Origin, path: Path, source: { file: string | null; prefix: string }): string {
  if (origin === 'file') return source.file ?? 'the settings file';
  if (origin === 'environment') {
    const section = environmentName(
      source.prefix,
      path.filter((part) => typeof part !== 'number'),
    );
    return `the environment (${section}, or the variable of a section above it)`;
  }
  if (origin === 'option') return 'the command line';
  return origin === 'provided' ? 'what the program found at start' : 'the defaults';
}

/** Messages written for people in a schema begin with "expected"; the others are made from the issue. */
function expectation(issue: Issue): string {
  const own = /^expected\s+(.+)$/is.exec(issue.message)?.[1];
  if (own !== undefined) return own.replaceAll(/\s+/g, ' ');
  switch (issue.code) {
    case 'invalid_type':
      return KINDS[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unit(issue.origin)}`;
    case 'too_big':
      return `${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unit(issue.origin)}`;
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return FORMATS[issue.format] ?? `the form of ${issue.format}`;
    case 'invalid_union': {
      const choices = issue.errors.flatMap((errors) => errors.filter(({ path }) => path.length === 0));
      return [...new Set(choices.map(expectation))].join(' or ') || 'another form';
    }
    default:
      return issue.message.replaceAll(/\s+/g, ' ');
  }
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a section',
  record: 'a section',
  null: 'null',
};

const FORMATS: Readonly<Record<string, string>> = {
  url: 'a URL of the right protocol',
  regex: 'another form of text',
  starts_with: 'another beginning',
};

const unit = (origin: string): string =>
  origin === 'string' ? ' characters' : origin === 'array' || origin === 'set' ? ' items' : '';
