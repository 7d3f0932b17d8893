/** What a version of the pipeline is: its code, schemas, declarations and Node (engine rules, 11.1). */
import { describeVersion, fingerprintOf } from '#pipeline/plan/description.ts';
import type { Graph } from './graph.ts';

/**
 * Content hash, 64 hex digits. A hash of the graph alone would miss a changed constant, so the sources of engine, logic
 * and schemas count too; tests and documents do not.
 */
export const fingerprint = async (options: { graph: Graph; folders: readonly string[] }): Promise<string> =>
  fingerprintOf(await describeVersion(options));
