/** What a version consists of, kept in the plan beside its fingerprint: so that another one can be compared with it. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { MAX_AHEAD_MS, type ProcessorDefinition } from '#pipeline/processor.ts';
import type { Graph } from '#pipeline/runtime/graph.ts';

const topicSchema = z.object({
  name: z.string(),
  layer: z.string(),
  partitions: z.int(),
  /** Digest of the schema's text. */
  schema: z.string(),
});

const processorSchema = z.object({
  name: z.string(),
  /** `topic mode`, such as `prices.v1 broadcast`. */
  inputs: z.array(z.string()),
  outputs: z.array(z.string()),
  /** Name -> kind and settings: how its state is laid out. */
  stores: z.record(z.string(), z.string()),
  /** What else the declaration says, as text. */
  settings: z.string(),
});

const descriptionSchema = z.object({
  /** What the content hash is made of: name -> digest, or the text itself where it is short. */
  parts: z.record(z.string(), z.string()),
  topics: z.array(topicSchema),
  subTopologies: z.array(
    z.object({ name: z.string(), partitions: z.int(), processors: z.array(processorSchema) }),
  ),
});

export type Description = Readonly<z.infer<typeof descriptionSchema>>;
export type DescribedProcessor = Description['subTopologies'][number]['processors'][number];

/** Null: what is not understood is as good as unknown. */
export function readDescription(text: string): Description | null {
  try {
    return descriptionSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** `folders`: whose sources decide what comes out; tests and documents in them do not count. */
export async function describeVersion(options: {
  readonly graph: Graph;
  readonly folders: readonly string[];
}): Promise<Description> {
  const { nodes, topics } = options.graph;
  return {
    parts: {
      node: `node ${process.versions.node.split('.')[0]}, v8 ${process.versions.v8}`,
      ...(await digestSources(options.folders)),
    },
    topics: topics.map(({ name, layer, partitions, schema }) => ({
      name,
      layer,
      partitions,
      schema: digestOf(JSON.stringify(schema)),
    })),
    subTopologies: nodes.map(({ name, partitions, processors }) => ({
      name,
      partitions,
      processors: processors.map(describeProcessor),
    })),
  };
}

/** Content hash, 64 hex digits: of the code, schemas, declarations and Node (engine rules, 11.1). */
export const fingerprintOf = (description: Description): string =>
  createHash('sha256').update(JSON.stringify(description)).digest('hex');

const describeProcessor = (definition: ProcessorDefinition): DescribedProcessor => {
  const { name, keepsKey, onError, inputs, outputs, stores } = definition;
  const ahead = inputs.filter(({ maxAheadMs }) => maxAheadMs !== MAX_AHEAD_MS);
  const aheadMs = Object.fromEntries(ahead.map(({ topic, maxAheadMs }) => [topic.name, maxAheadMs]));
  return {
    name,
    inputs: inputs.map(({ topic, mode }) => `${topic.name} ${mode}`),
    outputs: outputs.map((topic) => topic.name),
    stores: Object.fromEntries(
      Object.entries(stores).map(([store, { kind, settings }]) => [
        store,
        `${kind} ${JSON.stringify(settings)}`,
      ]),
    ),
    settings: JSON.stringify({ keepsKey, onError, aheadMs }),
  };
};

/** One part for each entry of a folder, such as `pipeline/merge` or `processors/enrich`. */
async function digestSources(folders: readonly string[]): Promise<Record<string, string>> {
  const hashes = new Map<string, ReturnType<typeof createHash>>();
  for (const folder of folders) {
    for (const file of (await readdir(folder, { recursive: true })).sort()) {
      if (!file.endsWith('.ts') || file.endsWith('.test.ts') || file.includes('testing/')) continue;
      const part = `${basename(folder)}/${file.split('/')[0]}`;
      const hash = hashes.get(part) ?? createHash('sha256');
      hashes.set(part, hash);
      hash.update(`${file}\n`).update(await readFile(join(folder, file)));
    }
  }
  return Object.fromEntries([...hashes].map(([part, hash]) => [part, hash.digest('hex').slice(0, 16)]));
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
