/** Settings from environment variables: `BALEEN__CONNECTORS__EVM__RPC_URL` is `connectors.evm.rpcUrl`. */
import { z } from 'zod';
import { FORBIDDEN_KEYS, isTree, type Path, type Tree, valueAt } from './layers.ts';
import type { Problem } from './problems.ts';
import { keysAt, schemasAt } from './schema.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const SEPARATOR = '__';
const SEGMENT = /^[A-Z0-9]+(_[A-Z0-9]+)*$/;

/** `rpcUrl` and `rpc-url` are both `RPC_URL`. */
const upperSnake = (key: string): string =>
  key
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toUpperCase();

const camelCase = (segment: string): string =>
  segment.toLowerCase().replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** The variable that sets a path. */
export const environmentName = (prefix: string, path: Path): string =>
  [prefix, ...path.map((part) => upperSnake(String(part)))].join(SEPARATOR);

/** Values are JSON when they parse as JSON and the schema takes that, else text. */
export function readEnvironment(options: {
  readonly schema: z.ZodType;
  readonly environment: Environment;
  readonly prefix: string;
}): { readonly tree: Tree; readonly problems: readonly Problem[] } {
  const { schema, environment, prefix } = options;
  const problems: Problem[] = [];
  let tree: Tree = {};
  // Sorted, a section given as one JSON text comes before its parts.
  const names = Object.keys(environment)
    .filter((name) => name.startsWith(prefix + SEPARATOR))
    .sort();
  for (const name of names) {
    const text = environment[name];
    if (text === undefined) continue;
    const path = pathOf(schema, name.slice(prefix.length + SEPARATOR.length));
    if (path === null) {
      problems.push({
        path: name.slice(0, 120),
        found: 'this name',
        expected: `names such as ${prefix}__SECTION__KEY`,
        hint: 'rename the environment variable',
      });
      continue;
    }
    const placed = place(tree, path, readValue(schema, path, text));
    if (placed === null) {
      problems.push({
        path: name,
        found: 'a value for the section above it as well',
        expected: 'one of the two',
        hint: 'remove one of the environment variables',
      });
    } else tree = placed;
  }
  return { tree, problems };
}

function pathOf(schema: z.ZodType, rest: string): readonly string[] | null {
  const path: string[] = [];
  for (const segment of rest.split(SEPARATOR)) {
    if (!SEGMENT.test(segment)) return null;
    const known = keysAt(schema, path).find((key) => upperSnake(key) === segment);
    const key = known ?? camelCase(segment);
    if (FORBIDDEN_KEYS.includes(key)) return null;
    path.push(key);
  }
  return path;
}

function readValue(schema: z.ZodType, path: Path, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  // A token of digits is text, where text is asked for.
  const takes = (candidate: unknown) =>
    schemasAt(schema, path).some((found) => z.safeParse(found, candidate).success);
  return !takes(value) && takes(text) ? text : value;
}

/** Null when the path leads through a value. */
function place(tree: Tree, path: readonly string[], value: unknown): Tree | null {
  const [key, ...rest] = path;
  if (key === undefined) return null;
  const present = valueAt(tree, [key]);
  if (rest.length === 0) return { ...tree, [key]: value };
  if (present !== undefined && !isTree(present)) return null;
  const child = place(isTree(present) ? present : {}, rest, value);
  return child === null ? null : { ...tree, [key]: child };
}
