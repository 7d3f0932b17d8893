import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { memoryConnectorContext } from '#pipeline/testing/connector-context.ts';
import { factsLabels } from '#schemas/topics.ts';
import labels from './index.ts';

const A = `0x${'a'.repeat(40)}`;
const running = new AbortController().signal;
const recordings = resolve(process.env.BALEEN_RECORDINGS ?? '../shared/data', 'labels');

describe('labels', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'labels-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const file = async (name: string, content: string | Buffer): Promise<string> => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };

  test('publishes the labels of its files once, counts bad rows and becomes idle', async () => {
    const memory = memoryConnectorContext();
    const config = labels.config.parse({
      files: [
        await file('mev.csv', `address\n${A}\nbad\n`),
        await file('x.jsonl.gz', gzipSync(JSON.stringify({ [A]: { name: 'Kraken 5', labels: ['kraken'] } }))),
      ],
    });
    const connector = labels.create(config, memory.context);
    await connector.check(running);
    await connector.run(running);
    expect(connector.status()).toMatchObject({ isIdle: true });
    expect(memory.records(factsLabels)).toMatchObject([
      { key: `ethereum:${A}`, value: { kind: 'exchange', entity: 'kraken', source: 'x.jsonl.gz' } },
    ]);
    expect(await memory.context.metrics.total('connector_refused_total')).toBe(1);
    expect(memory.lines.find(({ level }) => level === 'warn')?.fields).toMatchObject({ line: 3 });
    await labels.create(config, memory.context).run(running);
    expect(memory.records(factsLabels)).toHaveLength(1);
  });

  test('refuses a file that is missing, not gzip, or of no known shape, and names it', async () => {
    const { context } = memoryConnectorContext();
    const missing = labels.create({ files: [join(folder, 'none.csv')] }, context);
    await expect(missing.check(running)).rejects.toMatchObject({ code: 'PROVIDER_REFUSED' });
    const torn = labels.create({ files: [await file('torn.csv.gz', 'no gzip')] }, context);
    await expect(torn.check(running)).rejects.toMatchObject({ code: 'PROVIDER_REFUSED' });
    const odd = labels.create({ files: [await file('odd.csv', 'a,b\n1,2')] }, context);
    await expect(odd.run(running)).rejects.toThrow(/odd\.csv/);
  });

  test.skipIf(!existsSync(recordings))('reads every recorded file', async () => {
    const memory = memoryConnectorContext();
    const names = [
      'ofac_sanctioned_ethereum',
      'cex_evm_addresses',
      'cex_solana_addresses',
      'bridges_ethereum',
    ].concat(
      ['funds_ethereum', 'l2_batch_submitters_ethereum', 'chainlink_feeds_ethereum', 'mev_ethereum'],
      ['solana_labels_solscan'],
    );
    const files = [...names.map((name) => `${name}.csv`), 'etherscan_labels.jsonl.gz'];
    await labels.create({ files: files.map((name) => join(recordings, name)) }, memory.context).run(running);
    const records = memory.records(factsLabels);
    const kinds = new Map<string, number>();
    for (const { value } of records) kinds.set(value?.kind ?? '', (kinds.get(value?.kind ?? '') ?? 0) + 1);
    expect(records.length).toBeGreaterThan(20_000);
    expect([...kinds.keys()].sort()).toEqual(
      ['bridge', 'exchange', 'fund', 'mev', 'oracle', 'other', 'rollup', 'sanctioned'].sort(),
    );
    expect(kinds.get('exchange')).toBeGreaterThan(3_300);
    expect(await memory.context.metrics.total('connector_refused_total')).toBeLessThan(50);
    expect(records.map(({ key }) => key)).toEqual(records.map(({ key }) => key).sort());
  });
});
