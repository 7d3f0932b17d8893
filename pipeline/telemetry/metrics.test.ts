import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { METRICS, type MetricDeclaration } from './metric-list.ts';
import { createMetrics } from './metrics.ts';

const declared = Object.entries<MetricDeclaration>(METRICS);

describe('the declared metrics', () => {
  test('are those of ops/metrics.md, in the same order and words', async () => {
    const text = await readFile(new URL('../../ops/metrics.md', import.meta.url), 'utf8');
    const rows = [...text.matchAll(/^\| `([a-z0-9_]+)` +\|(.+)\|$/gm)].map(([, name, rest]) => [
      name,
      ...(rest ?? '').split('|').map((cell) => cell.trim()),
    ]);
    const isRow = ([name]: readonly (string | undefined)[]) => declared.some(([known]) => known === name);
    expect(rows.filter(isRow).map((row) => row.slice(0, 5))).toEqual(
      declared.map(([name, { kind, unit, labels, meaning }]) => [
        name,
        kind,
        unit,
        labels.join(', ') || '-',
        meaning,
      ]),
    );
    const unknown = [...text.matchAll(/`([a-z0-9]+_[a-z0-9_]*[a-z])(\{.*?\})?`/g)].map(([, name]) => name);
    expect(unknown.filter((name) => !declared.some(([known]) => known === name))).toEqual([]);
  });

  test.each(declared)('%s is named by its kind and unit', (name, { kind, unit, buckets }) => {
    expect(name.endsWith('_total')).toBe(kind === 'counter');
    if (kind !== 'counter') expect(name).toContain(unit);
    if (kind !== 'histogram') return;
    expect(buckets?.length).toBeGreaterThan(5);
    expect(buckets).toEqual([...(buckets ?? [])].sort((a, b) => a - b));
  });
});

describe('metrics', () => {
  test('add up by labels and are summed over those that match', async () => {
    const metrics = createMetrics();
    metrics.add('dead_letters_total', { component: 'a', code: 'X' });
    metrics.add('dead_letters_total', { code: 'X', component: 'a' }, 2);
    metrics.add('dead_letters_total', { component: 'b', code: 'X' });
    expect(await metrics.total('dead_letters_total')).toBe(4);
    expect(await metrics.total('dead_letters_total', { component: 'a' })).toBe(3);
    expect(await metrics.total('dead_letters_total', { component: 'c' })).toBe(0);
    const text = await metrics.render();
    expect(text).toContain('baleen_dead_letters_total{component="a",code="X"} 3\n');
    expect(text).toContain('baleen_dead_letters_total{component="b",code="X"} 1\n');
    expect(text).toContain('baleen_produce_retries_total 0\n');
  });

  test('with two labels are not mixed up when the values run together', async () => {
    const metrics = createMetrics();
    metrics.add('late_records_total', { processor: 'ab', store: 'c' });
    metrics.add('late_records_total', { processor: 'a', store: 'bc' });
    expect(await metrics.total('late_records_total', { processor: 'ab' })).toBe(1);
  });

  test('print histograms in seconds', async () => {
    const metrics = createMetrics();
    metrics.observe('commit_latency_seconds', { subtopology: 'detect', stage: 'local' }, 0.004);
    const text = await metrics.render();
    expect(text).toContain('baleen_commit_latency_seconds_count{subtopology="detect",stage="local"} 1\n');
    expect(text).toContain(
      'baleen_commit_latency_seconds_bucket{le="0.005",subtopology="detect",stage="local"} 1\n',
    );
  });

  test('measure gauges when they are asked for, and forget what is gone', async () => {
    const metrics = createMetrics();
    let waitsFor = 'chain/0/evm-0';
    const stop = metrics.sample(async (set) => {
      set('merge_wait_seconds', { task: 'detect-0', waits_for: waitsFor }, 3);
    });
    expect(await metrics.render()).toContain('{task="detect-0",waits_for="chain/0/evm-0"} 3\n');
    waitsFor = 'raw/1';
    const [one, other] = await Promise.all([metrics.render(), metrics.render()]);
    expect(one).toBe(other);
    expect(one).toContain('{task="detect-0",waits_for="raw/1"} 3\n');
    expect(one).not.toContain('chain/0');
    stop();
    expect(await metrics.render()).not.toContain('waits_for="');
  });

  test('go on after a sampler has failed', async () => {
    const metrics = createMetrics();
    const stop = metrics.sample(() => Promise.reject(new Error('no disk')));
    await expect(metrics.render()).rejects.toThrow('no disk');
    stop();
    expect(await metrics.render()).toContain('baleen_gaps_total');
  });

  test('of the process come by their usual names, when wanted', async () => {
    expect(await createMetrics({ hasProcess: true }).render()).toContain('process_resident_memory_bytes');
    expect(await createMetrics().render()).not.toContain('process_resident_memory_bytes');
  });

  test('of several threads are one: the same labels are added, others stand beside them', async () => {
    const [here, there] = [createMetrics({ hasProcess: true }), createMetrics()];
    const stop = here.include(async () => [await there.samples()]);
    here.add('commits_total', { subtopology: 'detect' });
    there.add('commits_total', { subtopology: 'detect' }, 2);
    there.add('commits_total', { subtopology: 'enrich' }, 5);
    for (const [metrics, seconds] of [
      [here, 0.004],
      [there, 0.4],
      [there, 0.004],
    ] as const)
      metrics.observe('commit_latency_seconds', { subtopology: 'detect', stage: 'local' }, seconds);
    for (const [metrics, task, lag] of [
      [here, 'detect-0', 3],
      [there, 'detect-1', 4],
    ] as const)
      metrics.sample((set) => {
        set('lag_records', { subtopology: 'detect' }, lag);
        set('state_bytes', { task }, 10 * lag);
      });
    const text = await here.render();
    for (const line of [
      'baleen_commits_total{subtopology="detect"} 3',
      'baleen_commits_total{subtopology="enrich"} 5',
      'baleen_commit_latency_seconds_bucket{le="0.005",subtopology="detect",stage="local"} 2',
      'baleen_commit_latency_seconds_bucket{le="+Inf",subtopology="detect",stage="local"} 3',
      'baleen_commit_latency_seconds_count{subtopology="detect",stage="local"} 3',
      'baleen_lag_records{subtopology="detect"} 7',
      'baleen_state_bytes{task="detect-0"} 30',
      'baleen_state_bytes{task="detect-1"} 40',
    ])
      expect(text.split('\n')).toContain(line);
    expect(text.match(/^process_start_time_seconds /gm)).toHaveLength(1);
    expect(await here.total('commits_total')).toBe(8);
    expect(await here.total('commits_total', { subtopology: 'detect' })).toBe(3);
    stop();
    expect(await here.total('commits_total')).toBe(1);
    expect(await here.render()).toContain('baleen_lag_records{subtopology="detect"} 3\n');
  });
});
