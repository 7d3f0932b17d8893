/** The rules of who may import whom and use what, as pure functions over source text. `check-boundaries.ts` runs them. */
import { posix } from 'node:path';
import ts from 'typescript';

/** One departure from the layout, found where `line` says (1 is the first; the whole file when it is about its name). */
export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly found: string;
  readonly expected: string;
  readonly hint: string;
}

/** `file:line: found, expected, hint`, the one form of all checks. */
export const formatViolation = ({ file, line, found, expected, hint }: Violation): string =>
  `${file}:${line}: found ${found}; expected ${expected}; ${hint}`;

/** Where a file belongs: its layer, and the room within it when there is one. */
export interface Area {
  readonly layer:
    | 'schemas'
    | 'pipeline'
    | 'connectors'
    | 'processors'
    | 'sinks'
    | 'topology'
    | 'ops'
    | 'scripts';
  /** Folder of the room, such as `connectors/evm`; null outside rooms. */
  readonly room: string | null;
}

const TOP_FOLDERS = ['schemas', 'pipeline', 'connectors', 'topology', 'sinks', 'ops', 'scripts'] as const;

/** The root holds these, the lockfile and dotfiles. */
export const ROOT_ENTRIES = [
  'README.md',
  'package.json',
  'tsconfig.json',
  'docker-compose.kafka.yml',
  ...TOP_FOLDERS,
];
const MAY_BE_IN_ROOT = new Set([...ROOT_ENTRIES, 'package-lock.json', 'node_modules']);

/** What a layer may import besides its own room. A room is no layer of its own: see `mayImport`. */
const BELOW: Readonly<Record<Area['layer'], readonly Area['layer'][]>> = {
  schemas: ['schemas'],
  pipeline: ['schemas', 'pipeline'],
  connectors: ['schemas', 'pipeline'],
  processors: ['schemas', 'pipeline'],
  sinks: ['schemas', 'pipeline'],
  topology: ['schemas', 'pipeline', 'connectors', 'processors', 'sinks', 'topology'],
  ops: ['schemas', 'pipeline', 'connectors', 'processors', 'sinks', 'topology', 'ops'],
  scripts: ['schemas', 'pipeline', 'connectors', 'processors', 'sinks', 'topology', 'ops', 'scripts'],
};

/** The area of a path relative to the root; null outside the source folders. */
export function areaOf(path: string): Area | null {
  const [top = '', second, third] = path.split('/');
  // A folder beside the registry is a room; a file there belongs to all rooms of its kind.
  const roomOf = (folder: string, rest: string | undefined, isFile: boolean) =>
    rest === undefined || isFile ? null : `${folder}/${rest}`;
  switch (top) {
    case 'connectors':
    case 'sinks':
      return { layer: top, room: roomOf(top, second, third === undefined) };
    case 'topology':
      if (second !== 'processors') return { layer: 'topology', room: null };
      return {
        layer: 'processors',
        room: roomOf('topology/processors', third, path.split('/').length === 3),
      };
    case 'schemas':
    case 'pipeline':
    case 'ops':
    case 'scripts':
      return { layer: top, room: null };
    default:
      return null;
  }
}

/** Tests, fixtures and what exists for them: they run in no product. */
export const isTestCode = (path: string): boolean =>
  path.endsWith('.test.ts') || /^(pipeline\/testing|scripts)\//.test(path) || path.includes('/fixtures/');

const ALIAS = /^#(schemas|pipeline|connectors|topology|sinks|ops)\/(.+)$/;

/** Path relative to the root that a specifier means; null for packages and Node's own modules. */
export function resolveSpecifier(from: string, specifier: string): string | null {
  const alias = ALIAS.exec(specifier);
  if (alias !== null) return `${alias[1]}/${alias[2]}`;
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : null;
}

type Problem = Omit<Violation, 'file' | 'line'>;

/** What is wrong with an import, or null. */
export function checkImport(from: string, specifier: string): Problem | null {
  const found = `import of ${specifier}`;
  const own = areaOf(from);
  const target = resolveSpecifier(from, specifier);
  if (own === null) return null;
  if (target === null) return checkPackage(from, specifier, found);
  const other = areaOf(target);
  if (other === null) {
    return { found, expected: 'a file of a source folder', hint: 'move what is needed into its layer' };
  }
  if (target.startsWith('pipeline/testing/') && !isTestCode(from)) {
    return {
      found,
      expected: 'no test code in the product',
      hint: 'move what the product needs out of pipeline/testing',
    };
  }
  const isAllowed = mayImport(from, own, other);
  if (isAllowed && specifier.startsWith('.') && from.split('/')[0] !== target.split('/')[0]) {
    return { found, expected: 'an alias across folders', hint: `write #${target}` };
  }
  if (isAllowed) return null;
  const isRooms = other.room !== null && own.room !== null && own.room !== other.room;
  return isRooms
    ? {
        found,
        expected: 'no import from one room into another',
        hint: 'move what both need to the pipeline/ folder of its subject',
      }
    : {
        found,
        expected: `${own.layer} to import only ${BELOW[own.layer].join(', ')}${own.room === null ? '' : ' and its own folder'}`,
        hint: `move the shared part down, or this file up to ${other.layer}`,
      };
}

function mayImport(from: string, own: Area, other: Area): boolean {
  if (BELOW[own.layer].includes(other.layer)) return true;
  if (own.layer !== other.layer) return false;
  // Same kind of room: the registry (outside of rooms) and tests see all, a room only itself.
  return own.room === null || own.room === other.room || isTestCode(from);
}

/** The campaign looks at the topics without the driver, which it judges. */
const mayUseClient = (from: string): boolean =>
  from.startsWith('pipeline/kafka/') || from.startsWith('scripts/campaign/');

function checkPackage(from: string, specifier: string, found: string): Problem | null {
  if (/^kafkajs(\/|$)/.test(specifier) && !mayUseClient(from)) {
    return {
      found,
      expected: 'the Kafka client only in pipeline/kafka',
      hint: 'use the types of pipeline/kafka/types.ts',
    };
  }
  if (/^(node:)?timers(\/promises)?$/.test(specifier) && !mayTouchMachine(from)) {
    return { found, expected: 'no timers here', hint: 'take the Clock of the context' };
  }
  if (specifier.startsWith('#')) {
    return {
      found,
      expected: 'an alias of package.json',
      hint: 'aliases are #schemas, #pipeline, #connectors, #topology, #sinks, #ops',
    };
  }
  return null;
}

/** Where clock, chance, environment, console and timers are allowed (style, section 5). */
export const mayTouchMachine = (path: string): boolean =>
  isTestCode(path) ||
  path === 'pipeline/clock.ts' ||
  path === 'topology/main.ts' ||
  ['pipeline/config/', 'pipeline/telemetry/', 'ops/', 'scripts/'].some((folder) => path.startsWith(folder));

const VAGUE_NAME = /(^|\/)(utils?|helpers?|common|misc)(\.[a-z.]+)?(\/|$)/;

/** Everything that is wrong with one file. `path` is relative to the root, with `/`. */
export function checkFile(path: string, text: string): readonly Violation[] {
  const violations: Violation[] = [];
  if (VAGUE_NAME.test(path)) {
    violations.push({
      file: path,
      line: 1,
      found: 'a name that says nothing',
      expected: 'the subject as a name',
      hint: 'name it after what is in it',
    });
  }
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const add = (node: ts.Node, problem: Problem | null) => {
    if (problem === null) return;
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    violations.push({ file: path, line, ...problem });
  };
  const isFree = mayTouchMachine(path);
  const visit = (node: ts.Node): void => {
    const specifier = specifierOf(node);
    if (specifier !== null) add(node, checkImport(path, specifier));
    if (ts.isExportDeclaration(node) && node.exportClause === undefined) {
      add(node, { found: 'export *', expected: 'no barrels', hint: 'import from the file that defines it' });
    }
    if (!isFree) add(node, checkMachine(node));
    ts.forEachChild(node, visit);
  };
  visit(source);
  return violations;
}

/** The specifier of static, dynamic, type and `require` imports and of re-exports; null for any other node. */
function specifierOf(node: ts.Node): string | null {
  const textOf = (part: ts.Node | undefined) =>
    part !== undefined && ts.isStringLiteralLike(part) ? part.text : null;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return textOf(node.moduleSpecifier);
  if (ts.isImportTypeNode(node))
    return ts.isLiteralTypeNode(node.argument) ? textOf(node.argument.literal) : null;
  if (!ts.isCallExpression(node)) return null;
  const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword;
  const isRequire = ts.isIdentifier(node.expression) && node.expression.text === 'require';
  return isImport || isRequire ? textOf(node.arguments[0]) : null;
}

const MACHINE: Readonly<Record<string, string>> = {
  'Date.now': 'take the Clock of the context',
  'Math.random': 'take what varies as an argument',
  'process.env': 'add a field to the config schema',
  'performance.now': 'take the Clock of the context',
  'new Date()': 'take the Clock of the context',
  console: 'take the Log of the context',
  setTimeout: 'take the Clock of the context',
  setInterval: 'take the Clock of the context',
};

function checkMachine(node: ts.Node): Problem | null {
  const name = machineName(node);
  const hint = name === null ? undefined : MACHINE[name];
  if (name === null || hint === undefined) return null;
  return { found: name, expected: 'no clock, chance, environment, console or timer here', hint };
}

function machineName(node: ts.Node): string | null {
  if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
    const owner = node.expression.text;
    if (owner === 'globalThis') return node.name.text;
    return owner === 'console' ? 'console' : `${owner}.${node.name.text}`;
  }
  if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'Date') {
    return (node.arguments?.length ?? 0) === 0 ? 'new Date()' : null;
  }
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) return node.expression.text;
  return null;
}

/** The root holds what the style guide lists, no more and no less. */
export function checkRoot(entries: readonly string[]): readonly Violation[] {
  const extra = entries
    .filter((entry) => !entry.startsWith('.') && !MAY_BE_IN_ROOT.has(entry))
    .map((entry) => ({
      file: entry,
      line: 1,
      found: `${entry} in the root`,
      expected: 'only what the layout lists',
      hint: 'move it to its folder',
    }));
  const missing = ROOT_ENTRIES.filter((entry) => !entries.includes(entry)).map((entry) => ({
    file: entry,
    line: 1,
    found: 'nothing',
    expected: `${entry} in the root`,
    hint: 'the layout has it; create it',
  }));
  return [...extra, ...missing];
}
