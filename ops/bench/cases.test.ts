import { expect, test } from 'vitest';
import { advantagesOver, losses, readBaseline } from './baseline.ts';
import { type Run, readRun, summarise } from './cases.ts';
import { replaceTables, tables } from './table.ts';

const line = (contender: string, more: Record<string, unknown> = {}): string =>
  JSON.stringify({
    workload: 'enrich',
    contender,
    count: 1_000_000,
    perSecond: 60_000,
    steadyPerSecond: 70_000,
    cpuSecondsPerMillion: 14,
    peakRssMiB: 280,
    duplicates: 0,
    missing: 0,
    wrong: 0,
    ...more,
  });

const paced = (contender: string, p99Per10s: readonly number[], more: Record<string, unknown> = {}): string =>
  line(contender, {
    workload: 'chain',
    rate: 1_000,
    steadyPerSecond: undefined,
    p50Ms: 20,
    p99Per10s,
    ...more,
  });

const named = (contender: string): string => (contender.includes('contender.ts') ? 'baleen' : contender);
const runs = (...lines: readonly string[]): readonly Run[] =>
  lines.flatMap((one) => readRun(one, named) ?? []);

test('lines that are no run are passed over', () => {
  expect(readRun('12:00:01 input', named)).toBeNull();
  expect(readRun('{"pair":["a","b"],"metric":"p50Ms","ratioOfMedians":0.5}', named)).toBeNull();
});

test('a command gets its short name, and a paced run the worst of its last thirty seconds', () => {
  const [run] = runs(paced("'node' 'ops/bench/contender.ts' {workload}", [900, 40, 55, 50]));
  expect(run).toMatchObject({ case: 'chain 1000/s', contender: 'baleen', figures: { p99Ms: 55, p50Ms: 20 } });
});

test('a contender has the median of its runs, and all of its mistakes', () => {
  const cpu = (cpuSecondsPerMillion: number, missing = 0) =>
    line('contender.ts', { cpuSecondsPerMillion, missing });
  expect(summarise(runs(cpu(30), cpu(10, 2), cpu(11)))).toMatchObject([
    { contender: 'baleen', rounds: 3, mistakes: 2, figures: { cpuSecondsPerMillion: 11, p50Ms: null } },
  ]);
  expect(summarise(runs(cpu(10), cpu(20)))).toMatchObject([{ figures: { cpuSecondsPerMillion: 15 } }]);
});

test('a run that was not right has no speed, and no advantage comes of it', () => {
  const summaries = summarise(
    runs(line('contender.ts', { steadyPerSecond: null, missing: 1 }), line('kafka-streams')),
  );
  expect(advantagesOver('kafka-streams', summaries)['enrich']).not.toHaveProperty('steadyPerSecond');
});

test('an advantage is above one where we are better, whichever way the figure goes', () => {
  const summaries = summarise(
    runs(
      line('contender.ts', { cpuSecondsPerMillion: 5, steadyPerSecond: 150_000 }),
      line('kafka-streams', { cpuSecondsPerMillion: 10, steadyPerSecond: 100_000 }),
    ),
  );
  expect(advantagesOver('kafka-streams', summaries)).toEqual({
    enrich: { cpuSecondsPerMillion: 2, steadyPerSecond: 1.5, peakRssMiB: 1 },
  });
});

test('what fell within its tolerance is no loss, what fell by more or is gone is one', () => {
  const before = { enrich: { cpuSecondsPerMillion: 2, steadyPerSecond: 2, p50Ms: 3 } };
  expect(losses(before, { enrich: { cpuSecondsPerMillion: 1.71, steadyPerSecond: 1.51, p50Ms: 9 } })).toEqual(
    [],
  );
  expect(losses(before, { enrich: { cpuSecondsPerMillion: 1.69, steadyPerSecond: 3 } })).toEqual([
    expect.stringMatching(/^enrich: cpuSecondsPerMillion was 2 times better .* now 1.69 times/),
    expect.stringMatching(/^enrich: p50Ms was 3 /),
  ]);
  expect(losses(before, { 'chain 1000/s': { p99Ms: 1 } })).toEqual([]);
});

test('a baseline that is none is refused', () => {
  expect(readBaseline('{"peer":"kafka-streams","advantages":{"enrich":{"p50Ms":2}}}').peer).toBe(
    'kafka-streams',
  );
  expect(() => readBaseline('{"peer":"kafka-streams","advantages":{"enrich":{"speed":2}}}')).toThrow();
});

test('the page gets new tables between its markers and keeps the rest', () => {
  const summaries = summarise(runs(line('contender.ts'), paced('contender.ts', [40])));
  const text = tables(summaries, { enrich: { cpuSecondsPerMillion: 2 } });
  expect(text).toContain(
    '| enrich   | baleen    |           70,000 |                    14.0 |     280 MiB |',
  );
  expect(text).toContain('| chain 1000/s | baleen    | 20 ms |          40 ms |');
  expect(text).toContain('| enrich                     |   2 |         - |   - |   - |      - |');
  const page = 'before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n';
  const next = replaceTables(page, text);
  expect(next).toBe(`before\n<!-- bench: begin -->\n\n${text}\n\n<!-- bench: end -->\nafter\n`);
  expect(replaceTables(next, text)).toBe(next);
  expect(() => replaceTables('no markers', text)).toThrow('bench: begin');
});
