/** Reads the manifest of a recordings folder, and refuses it with every problem at once before anything is served. */
import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Log } from '#pipeline/telemetry/log.ts';

/** Recorded EVM payloads of one chain; paths are absolute. */
export interface EvmStream {
  readonly provider: 'evm';
  readonly kind: 'blocks' | 'receipts' | 'logs';
  readonly chainId: number;
  readonly files: readonly string[];
}
/** Recorded WebSocket frames of one category; paths are absolute. */
export interface BybitStream {
  readonly provider: 'bybit';
  readonly kind: 'frames';
  readonly category: BybitCategory;
  readonly envelope: 'rec' | 'frames';
  readonly files: readonly string[];
}
/** Recorded enhanced transactions, or label files; paths are absolute. */
export interface PlainStream {
  readonly provider: 'helius' | 'labels';
  readonly kind: string;
  readonly files: readonly string[];
}
export type RecordedStream = EvmStream | BybitStream | PlainStream;
export type BybitCategory = 'spot' | 'linear' | 'inverse' | 'option';

const text = z.string().min(1).max(400);
const files = z.array(text).min(1);
const named = z.looseObject({ provider: text, kind: text });
const evm = z.looseObject({
  provider: z.literal('evm'),
  kind: z.enum(['blocks', 'receipts', 'logs']),
  chainId: z.int().positive().default(1),
  files,
});
const bybit = z.looseObject({
  provider: z.literal('bybit'),
  kind: z.literal('frames'),
  category: z.enum(['spot', 'linear', 'inverse', 'option']),
  envelope: z.enum(['rec', 'frames']).default('frames'),
  files,
});
const helius = z.looseObject({
  provider: z.literal('helius'),
  kind: z.literal('enhanced-transactions'),
  files,
});
const labels = z.looseObject({ provider: z.literal('labels'), kind: z.literal('labels'), files });

/** Streams that are served, by `provider kind`. */
const SERVED = {
  'evm blocks': evm,
  'evm receipts': evm,
  'evm logs': evm,
  'bybit frames': bybit,
  'helius enhanced-transactions': helius,
  'labels labels': labels,
};
type Served = keyof typeof SERVED;
const isServed = (name: string): name is Served => Object.hasOwn(SERVED, name);

interface Problem {
  readonly path: string;
  readonly found: string;
  readonly expected: string;
  readonly hint: string;
}

/**
 * The streams that can be served from `folder`. Unknown providers and kinds are left out with an info log.
 * Throws RECORDINGS_INVALID that lists every problem: a broken manifest, a missing file, a path that leaves the folder.
 */
export async function readManifest(folder: string, log: Log): Promise<readonly RecordedStream[]> {
  const root = resolve(folder);
  const path = join(root, 'recordings.json');
  const manifest = await load(path);
  const problems: Problem[] = [];
  const streams: RecordedStream[] = [];
  for (const [index, entry] of manifest.entries()) {
    const at = `streams[${index}]`;
    const name = named.safeParse(entry);
    if (!name.success) {
      problems.push(...issuesOf(at, entry, name.error));
      continue;
    }
    const title = `${name.data.provider} ${name.data.kind}`;
    if (!isServed(title)) {
      log.info('a recorded stream is not served by this version and is left out', { stream: title, at });
      continue;
    }
    const parsed = SERVED[title].safeParse(entry);
    if (!parsed.success) {
      problems.push(...issuesOf(at, entry, parsed.error));
      continue;
    }
    problems.push(...(await fileProblems(root, at, parsed.data.files)));
    streams.push({ ...parsed.data, files: parsed.data.files.map((file) => resolve(root, file)) });
  }
  if (problems.length > 0) throw invalid(path, problems);
  return streams;
}

async function load(path: string): Promise<readonly unknown[]> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const hint = 'name a folder that has a recordings.json';
    throw invalid(path, [{ path: '', found: messageOf(error), expected: 'a JSON manifest', hint }]);
  }
  const parsed = z.looseObject({ version: z.literal(1), streams: z.array(z.unknown()) }).safeParse(value);
  if (!parsed.success) throw invalid(path, issuesOf('', value, parsed.error));
  return parsed.data.streams;
}

async function fileProblems(root: string, at: string, names: readonly string[]): Promise<Problem[]> {
  const found = await Promise.all(
    names.map(async (name, index): Promise<Problem | null> => {
      const path = `${at}.files[${index}]`;
      const full = resolve(root, name);
      if (isAbsolute(name) || relative(root, full).startsWith('..'))
        return { path, found: show(name), expected: 'a path inside the folder', hint: 'make it relative' };
      try {
        await access(full, constants.R_OK);
        if ((await stat(full)).isFile()) return null;
      } catch {
        // Reported below, like a folder.
      }
      return { path, found: show(name), expected: 'a readable file', hint: 'add it or remove the entry' };
    }),
  );
  return found.filter((problem) => problem !== null);
}

function issuesOf(at: string, value: unknown, error: z.ZodError): Problem[] {
  return error.issues.map((issue) => {
    const inner = issue.path.map(String).join('.');
    return {
      path: [at, inner].filter((part) => part !== '').join('.'),
      found: show(issue.path.reduce<unknown>((node, key) => child(node, key), value)),
      expected: issue.message,
      hint: 'see the grammar of a recordings folder',
    };
  });
}

const child = (node: unknown, key: PropertyKey): unknown =>
  typeof node === 'object' && node !== null ? Reflect.get(node, key) : undefined;

// What is in the file is foreign text: escaped and short.
const show = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 80);

function invalid(path: string, problems: readonly Problem[]): PipelineError {
  const lines = problems.map(
    (problem) =>
      `${problem.path || 'file'}: expected ${problem.expected}, found ${problem.found}; ${problem.hint}`,
  );
  return new PipelineError(
    'RECORDINGS_INVALID',
    `recordings: ${path} cannot be served:\n${lines.map((line) => `  ${line}`).join('\n')}`,
    { facts: { path, problems: problems.length } },
  );
}
