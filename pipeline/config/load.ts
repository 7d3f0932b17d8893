/** Settings: defaults, what the program provides, file, environment, options; later wins. Refuses early, all at once. */
import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { PipelineError } from '../errors.ts';
import { type Environment, environmentName, readEnvironment } from './environment.ts';
import {
  forbiddenPaths,
  isTree,
  type Layered,
  layOver,
  type Origin,
  originOf,
  pathText,
  type Tree,
  valueAt,
} from './layers.ts';
import { type Problem, problemLine, problemsOf } from './problems.ts';
import { leaves, masked } from './shown.ts';

export interface ConfigOptions<T> {
  readonly schema: z.ZodType<T>;
  /** YAML. `path` is for messages only. */
  readonly file?: { readonly path: string; readonly text: string } | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Variables with another name than their path gives: name -> dotted path. The regular name wins. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** What the program found out by itself; file and environment win over it. */
  readonly provided?: Tree | undefined;
  /** Options of the command line. */
  readonly overrides?: Tree | undefined;
  /** Such as `BALEEN`. */
  readonly prefix: string;
}

/** A leaf of the effective settings; lists are leaves. */
export interface Setting {
  readonly path: string;
  /** Secrets are masked. */
  readonly shown: unknown;
  readonly origin: Origin;
}

export interface LoadedConfig<T> {
  readonly value: T;
  /** Dotted path of each leaf -> where its value came from. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** The effective tree as it may be printed. */
  readonly settings: readonly Setting[];
}

const MAX_FILE_CHARS = 1_048_576;

/** Throws CONFIG_INVALID with a line for every problem. */
export function loadConfig<T>(options: ConfigOptions<T>): LoadedConfig<T> {
  const { schema, prefix } = options;
  const { layered, problems } = readLayers(options);
  const result = schema.safeParse(layered.tree);
  const context = { schema, layered, prefix, file: options.file?.path ?? null };
  const all = [...problems, ...(result.error?.issues ?? []).flatMap((issue) => problemsOf(issue, context))];
  if (!result.success || all.length > 0) throw invalid(all);
  const settings = leaves(result.data).map((path) => ({
    path: pathText(path),
    shown: masked(schema, path, valueAt(result.data, path)),
    origin: originOf(layered, path),
  }));
  return {
    value: result.data,
    settings,
    origins: new Map(settings.map(({ path, origin }) => [path, origin])),
  };
}

/** The layers over each other, before validation: for what must be known before all of it can be. */
export function readLayers<T>(options: ConfigOptions<T>): {
  readonly layered: Layered;
  readonly problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const { schema, prefix, file } = options;
  const environment = withAliases(options.environment, options.aliases ?? {}, prefix);
  const fromEnvironment = readEnvironment({ schema, environment, prefix });
  problems.push(...fromEnvironment.problems);
  const sources: { origin: Origin; tree: Tree }[] = [
    { origin: 'provided', tree: options.provided ?? {} },
    { origin: 'file', tree: file === undefined ? {} : readFile(file, problems) },
    { origin: 'environment', tree: fromEnvironment.tree },
    { origin: 'option', tree: options.overrides ?? {} },
  ];
  const layers = sources.filter(({ tree, origin }) => {
    const forbidden = forbiddenPaths(tree);
    for (const path of forbidden) {
      problems.push({
        path: pathText(path),
        found: 'a key that is never a setting',
        expected: 'another name',
        hint: `take it out of the ${origin}`,
      });
    }
    return forbidden.length === 0;
  });
  return { layered: layOver(layers), problems };
}

function withAliases(
  environment: Environment,
  aliases: Readonly<Record<string, string>>,
  prefix: string,
): Environment {
  const named = Object.entries(aliases).flatMap(([alias, path]) => {
    const value = environment[alias];
    return value === undefined || value === ''
      ? []
      : [[environmentName(prefix, path.split('.')), value] as const];
  });
  return { ...Object.fromEntries(named), ...environment };
}

/** Syntax errors are told by line and kind: the text around them may hold a secret. */
function readFile(file: { path: string; text: string }, problems: Problem[]): Tree {
  const refuse = (found: string, hint: string): Tree => {
    problems.push({ path: file.path, found, expected: 'sections of settings in YAML', hint });
    return {};
  };
  if (file.text.length > MAX_FILE_CHARS) {
    return refuse(`${file.text.length} characters`, 'is this the right file? At most 1048576 are read');
  }
  const lineCounter = new LineCounter();
  const document = parseDocument(file.text, { lineCounter, prettyErrors: false, logLevel: 'silent' });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    return refuse(`${error.code} in line ${line}, column ${col}`, 'correct the line');
  }
  let content: unknown;
  try {
    content = document.toJS({ maxAliasCount: 100 });
  } catch {
    return refuse('aliases that cannot be resolved', 'write the values out');
  }
  if (content === null || content === undefined) return {};
  return isTree(content)
    ? content
    : refuse('no section at the top', 'begin with a line such as "connectors:"');
}

const invalid = (problems: readonly Problem[]): PipelineError =>
  new PipelineError(
    'CONFIG_INVALID',
    `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'} in the settings\n${problems
      .map((problem) => `  ${problemLine(problem)}`)
      .join('\n')}`,
    { facts: { problems: problems.length } },
  );
