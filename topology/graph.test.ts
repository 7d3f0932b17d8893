import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { topics } from '#schemas/topics.ts';
import { boxes, drawGraph } from './graph.ts';

describe('the graph', () => {
  test('is drawn as in graph.golden.txt (scripts/redraw-graph.ts writes it anew)', async () => {
    const golden = await readFile(new URL('graph.golden.txt', import.meta.url), 'utf8');
    expect(drawGraph('text')).toBe(golden);
  });

  test('fits on one screen', () => {
    expect(drawGraph('text').split('\n').length).toBeLessThanOrEqual(60);
  });

  test('has somebody who writes each topic that is read, and names no topic that does not exist', () => {
    const written = new Set(boxes().flatMap(({ writes }) => writes));
    const read = new Set(boxes().flatMap(({ reads }) => reads));
    const known = new Set<string>(topics.map(({ name }) => name));
    // Any sub-topology may write dead letters; they are not drawn.
    expect([...read].filter((name) => !written.has(name) && name !== 'dlq.v1')).toEqual([]);
    expect([...written, ...read].filter((name) => !known.has(name))).toEqual([]);
  });

  test('is the same in every form', () => {
    const names = boxes().map(({ name }) => name);
    expect(JSON.parse(drawGraph('json')).map(({ name }: { name: string }) => name)).toEqual(names);
    for (const name of names) expect(drawGraph('mermaid')).toContain(`"${name}"`);
  });
});
