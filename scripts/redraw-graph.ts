/** Writes `topology/graph.golden.txt`; its difference is what a reviewer reads. */
import { writeFile } from 'node:fs/promises';
import { drawGraph } from '#topology/graph.ts';

await writeFile(new URL('../topology/graph.golden.txt', import.meta.url), drawGraph('text'));
