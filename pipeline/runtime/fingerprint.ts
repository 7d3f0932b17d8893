/** What a version of the pipeline is: its code, schemas, declarations and Node (engine rules, 11.1). */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessorDefinition } from '#pipeline/processor.ts';
import type { Graph } from './graph.ts';

/**
 * Content hash, 64 hex digits. A hash of the graph alone would miss a changed constant, so the sources of engine, logic
 * and schemas count too; tests and documents do not.
 */
export async function fingerprint(options: { graph: Graph; folders: readonly string[] }): Promise<string> {
  const hash = createHash('sha256');
  hash.update(`node ${process.versions.node.split('.')[0]} v8 ${process.versions.v8}\n`);
  for (const { name, partitions, processors, outputs } of options.graph.nodes) {
    hash.update(`${name}/${partitions}: ${JSON.stringify(processors.map(declared))} -> `);
    hash.update(
      `${outputs.map((topic) => `${topic.name}/${topic.partitions} ${JSON.stringify(topic.schema)}`).join()}\n`,
    );
  }
  for (const folder of options.folders) {
    for (const file of (await readdir(folder, { recursive: true })).sort()) {
      if (!file.endsWith('.ts') || file.endsWith('.test.ts') || file.includes('testing/')) continue;
      hash.update(`${file}\n`).update(await readFile(join(folder, file)));
    }
  }
  return hash.digest('hex');
}

/** What a declaration says beside its code: a setting may come from elsewhere than a source file. */
const declared = ({ name, keepsKey, onError, inputs, stores }: ProcessorDefinition) => ({
  name,
  keepsKey,
  onError,
  inputs: inputs.map(({ topic, mode, maxAheadMs }) => [topic.name, mode, maxAheadMs]),
  stores: Object.entries(stores).map(([store, { kind, settings }]) => [store, kind, settings]),
});
