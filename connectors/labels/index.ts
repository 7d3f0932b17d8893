/**
 * Labels: who owns an address, from files, published once as facts. Rows that cannot be read are counted and logged;
 * a file that is missing, too large or of no known shape ends the connector with PROVIDER_REFUSED.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { z } from 'zod';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import { type ConnectorContext, defineConnector } from '#pipeline/rooms.ts';
import { publishFacts } from '#pipeline/runtime/facts.ts';
import { factsLabels } from '#schemas/topics.ts';
import { type LabelFile, mergeLabels, parseLabelFile } from './table.ts';

const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** After decompression. */
const MAX_TEXT_BYTES = 256 * 1024 * 1024;
/** Bad rows logged for each file; the rest is only counted. */
const MAX_BAD_ROWS_LOGGED = 5;

const config = z.strictObject({
  /** Absolute paths; of equal claims the file named first wins. */
  files: z
    .array(
      z.string().regex(/^\/.*\.(csv|jsonl)(\.gz)?$/, {
        error: 'expected an absolute path to .csv or .jsonl, or either with .gz',
      }),
    )
    .default([]),
});

/** Publishes the labels of the files and ends; labels of earlier runs stay. */
export default defineConnector({
  name: 'labels',
  summary: 'Publishes who owns which address, from files of labelled addresses.',
  config,
  outputs: [factsLabels],
  isFinite: true,
  create({ files }, context) {
    let isDone = false;
    let detail = `${files.length} files to read`;
    return {
      async check(signal) {
        for (const path of files) {
          signal.throwIfAborted();
          await readText(path);
        }
      },
      async run(signal) {
        const tables: LabelFile['labels'][] = [];
        for (const path of files) {
          if (signal.aborted) return;
          const file = await readLabels(path);
          reportBadRows(context, path, file);
          tables.push(file.labels);
        }
        const facts = mergeLabels(tables);
        const done = await publishFacts({ context, connector: 'labels', topic: factsLabels, facts, signal });
        isDone = done.isComplete;
        detail = `${facts.size} labels from ${files.length} files; ${done.written} written`;
        context.log.info('labels published', { files: files.length, ...done });
      },
      status: () => ({ isIdle: isDone, detail }),
    };
  },
});

async function readLabels(path: string): Promise<LabelFile> {
  const file = parseLabelFile(basename(path), await readText(path));
  if (file !== null) return file;
  throw new PipelineError(
    'PROVIDER_REFUSED',
    `labels: expected a header of a known table in ${path}, found none; see connectors/labels/shapes.ts for the tables that are read, or take the file out of connectors.labels.files`,
    { facts: { path } },
  );
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new RangeError(`${size} bytes, more than ${MAX_FILE_BYTES}`);
    const bytes = await readFile(path);
    const plain = path.endsWith('.gz') ? await gunzipped(bytes, { maxOutputLength: MAX_TEXT_BYTES }) : bytes;
    return plain.toString('utf8');
  } catch (cause) {
    throw new PipelineError(
      'PROVIDER_REFUSED',
      `labels: expected a readable file at ${path}, found: ${messageOf(cause)}; correct connectors.labels.files`,
      { facts: { path }, cause },
    );
  }
}

const gunzipped = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);

function reportBadRows(context: ConnectorContext, path: string, { bad }: LabelFile): void {
  if (bad.length === 0) return;
  context.metrics.add('connector_refused_total', { connector: 'labels', reason: 'row' }, bad.length);
  for (const { line, reason } of bad.slice(0, MAX_BAD_ROWS_LOGGED)) {
    context.log.warn('label row left out', { path, line, reason });
  }
  context.log.warn('label rows left out', { path, count: bad.length });
}
