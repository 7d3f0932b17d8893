/** Layers of raw settings, laid over each other, with the origin of every part. */

/** Where a setting came from; later ones win. `provided`: found by the program itself at start. */
export type Origin = 'default' | 'provided' | 'file' | 'environment' | 'option';

export type Path = readonly (string | number)[];

/** Settings before validation. */
export type Tree = { readonly [key: string]: unknown };

/** A tree with the origin of each leaf by dotted path. Lists and null are leaves: they replace, they are not merged. */
export interface Layered {
  readonly tree: Tree;
  readonly origins: ReadonlyMap<string, Origin>;
}

/** Keys that mean something to JavaScript itself. */
export const FORBIDDEN_KEYS: readonly string[] = ['__proto__', 'constructor', 'prototype'];

export const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `a.b[2].c`; unusual keys in quotes, so that a name cannot break the line. */
export const pathText = (path: Path): string =>
  path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const name = /^[\w-]+$/.test(part) ? part : JSON.stringify(part.slice(0, 60));
      return index === 0 ? name : `.${name}`;
    })
    .join('');

/** The value at a path; undefined when there is none. Own properties only. */
export function valueAt(value: unknown, path: Path): unknown {
  let found: unknown = value;
  for (const part of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return undefined;
    found = Reflect.get(found, part);
  }
  return found;
}

/** Paths of forbidden keys, in any depth. */
export function forbiddenPaths(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => {
    const here = [...path, Array.isArray(value) ? Number(key) : key];
    return FORBIDDEN_KEYS.includes(key) ? [here] : forbiddenPaths(child, here);
  });
}

/** Later layers win. Layers hold no forbidden keys. */
export function layOver(layers: readonly { readonly origin: Origin; readonly tree: Tree }[]): Layered {
  const origins = new Map<string, Origin>();
  let tree: Tree = {};
  for (const layer of layers) tree = merge(tree, layer.tree, layer.origin, [], origins);
  return { tree, origins };
}

function merge(under: Tree, over: Tree, origin: Origin, path: Path, origins: Map<string, Origin>): Tree {
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const here = [...path, key];
    const text = pathText(here);
    const below = merged.get(key);
    if (isTree(value)) {
      if (!isTree(below)) origins.delete(text);
      // An empty section says something too: the room is on.
      if (!isTree(below)) origins.set(text, origin);
      merged.set(key, merge(isTree(below) ? below : {}, value, origin, here, origins));
      continue;
    }
    for (const known of origins.keys()) {
      if (known.startsWith(`${text}.`)) origins.delete(known);
    }
    origins.set(text, origin);
    merged.set(key, value);
  }
  return Object.fromEntries(merged);
}

/** The origin of a leaf. A section's own origin does not spread to leaves that it does not name. */
export function originOf(layered: Layered, path: Path): Origin {
  for (let length = path.length; length > 0; length--) {
    const part = path.slice(0, length);
    const origin = layered.origins.get(pathText(part));
    if (origin !== undefined && (length === path.length || !isTree(valueAt(layered.tree, part))))
      return origin;
  }
  return 'default';
}
