/** `baleen graph`: what reads and writes which topic. */
import { drawGraph, type GraphForm } from '#topology/graph.ts';
import { type Io, processIo } from './io.ts';

/** Needs nothing to run. Returns the exit code. */
export function graph(options: { readonly form: GraphForm }, io: Io = processIo): Promise<number> {
  io.out(drawGraph(options.form).trimEnd());
  return Promise.resolve(0);
}
