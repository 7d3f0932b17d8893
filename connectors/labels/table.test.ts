import { describe, expect, test } from 'vitest';
import { addressOn } from './address.ts';
import { mergeLabels, parseLabelFile } from './table.ts';

const A = `0x${'a'.repeat(40)}`;
const B = `0x${'b'.repeat(40)}`;
const SOL = '9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM';

const labelsOf = (text: string, name = 'file.csv') => parseLabelFile(name, text)?.labels ?? [];

describe('addressOn', () => {
  test.each([
    ['ethereum', A.toUpperCase().replace('0X', '0x'), A],
    ['ethereum', `${A}a`, null],
    ['ethereum', SOL, null],
    ['solana', SOL, SOL],
    ['solana', '11111111111111111111111111111111', '11111111111111111111111111111111'],
    [
      'solana',
      '887234fe5ed5e77272465317978ae86c25a71531d933',
      '887234fe5ed5e77272465317978ae86c25a71531d933',
    ],
    ['solana', SOL.slice(4), null],
    ['solana', `${SOL.slice(1)}0`, null],
  ] as const)('on %s reads %s as %s', (chain, text, expected) => {
    expect(addressOn(chain, text)).toBe(expected);
  });
});

describe('parseLabelFile', () => {
  test('reads exchange wallets with entity and day', () => {
    const text = `address,cex_name,distinct_name,added_by,added_date\n${A.toUpperCase().replace('0X', '0x')},Binance,Binance 2,x,2022-08-28\n`;
    expect(labelsOf(text)).toEqual([
      {
        id: `label:ethereum:${A}`,
        chain: 'ethereum',
        address: A,
        name: 'Binance 2',
        kind: 'exchange',
        entity: 'binance',
        validFromMs: Date.UTC(2022, 7, 28),
        confidence: 0.95,
        source: 'file.csv',
      },
    ]);
  });

  test.each([
    [
      'blockchain,address,cex_name,distinct_name,added_by,added_date',
      `solana,${SOL},Gate.io,Gate 1,x,now()`,
      { chain: 'solana', kind: 'exchange', entity: 'gate.io', validFromMs: null },
    ],
    [
      'blockchain,address,name,category,created_at',
      `ethereum,${A},Hop: Bridge,bridge,2022-02-31`,
      { kind: 'bridge', entity: 'hop', validFromMs: null },
    ],
    [
      'blockchain,address,name,category,created_at',
      `ethereum,${A},a16z,institution,2022-09-03`,
      { kind: 'fund', entity: 'a16z' },
    ],
    ['address', A, { kind: 'mev', entity: null, confidence: 0.8, name: 'MEV bot' }],
    [
      'address,protocol,description,blockchain,currency_contract,currency_symbol',
      `${A},Tornado Cash,"1,000 DAI Pool",ethereum,0x0,DAI`,
      { kind: 'sanctioned', name: 'Tornado Cash: 1,000 DAI Pool' },
    ],
    [
      'address,protocol_name,codebase,submitter_type,role_type,version,description',
      `${A},OP Mainnet,Optimism,Sequencer,from,,`,
      { kind: 'rollup', name: 'OP Mainnet: Sequencer', entity: 'op mainnet' },
    ],
    [
      'address,labels',
      `${SOL},CHAIN_SOLANA|CEX_GATEIO|HOT_WALLET|solscan: Gate 1`,
      { chain: 'solana', kind: 'exchange', entity: 'gate.io', name: 'Gate 1' },
    ],
    [
      'address,labels',
      `${SOL},CHAIN_SOLANA|MMK_JUMP_CRYPTO|solscan: Jump`,
      { kind: 'other', entity: 'jump crypto' },
    ],
  ])('reads the table %s', (header, row, expected) => {
    expect(labelsOf(`${header}\n${row}`)).toMatchObject([expected]);
  });

  test('makes two labels of a price feed', () => {
    const text = `feed_name,decimals,proxy_address,aggregator_address\nETH / USD,8,${A},${B}`;
    expect(labelsOf(text)).toMatchObject([
      { address: A, kind: 'oracle', name: 'Chainlink: ETH / USD feed' },
      { address: B, kind: 'oracle', name: 'Chainlink: ETH / USD aggregator' },
    ]);
  });

  test.each([
    [['binance'], 'Binance 14', { kind: 'exchange', entity: 'binance' }],
    [['huobi'], 'Huobi 3', { kind: 'exchange', entity: 'htx' }],
    [['binance'], 'Binance USD (BUSD)', { kind: 'other', entity: null }],
    [['bridge', 'hop-protocol'], 'Hop Protocol: DAI Bridge', { kind: 'bridge' }],
    [['bridge', 'synapse'], 'Synapse (SYN)', { kind: 'other' }],
    [['ofac-sanctions-lists', 'binance'], 'Binance 1', { kind: 'sanctioned' }],
    [['mev-bot'], '', { kind: 'mev', name: 'mev-bot' }],
  ])('takes explorer tags %j with the name %j', (labels, name, expected) => {
    const line = JSON.stringify({ [A]: { name, labels } });
    expect(labelsOf(line, 'x.jsonl.gz')).toMatchObject([{ ...expected, confidence: 0.7 }]);
  });

  test('leaves out bad rows with their line, and keeps the rest', () => {
    const file = parseLabelFile('x.csv', `address\nnonsense\n${A}\n${A},more\n`);
    expect(file?.labels).toHaveLength(1);
    expect(file?.bad.map(({ line }) => line)).toEqual([2, 4]);
  });

  test('takes __proto__ for a key that is no address, and leaves objects as they are', () => {
    const text = `{"__proto__":{"name":"x","labels":["exchange"]}}\n[]\nnull\n{"${A}":7}\n{`;
    const file = parseLabelFile('x.jsonl', text);
    expect(file?.labels).toEqual([]);
    expect(file?.bad.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5]);
    expect(({} as { name?: unknown }).name).toBeUndefined();
  });

  test('knows no shape for another header', () => {
    expect(parseLabelFile('x.csv', 'address,colour\n')).toBeNull();
    expect(parseLabelFile('x.csv', '')).toBeNull();
  });
});

test('the kind decides which label of an address is kept, then the order of files', () => {
  const mev = labelsOf(`address\n${A}\n${B}`);
  const cex = labelsOf(`address,cex_name,distinct_name\n${A},One,One 1\n${A},Two,Two 1`);
  const merged = mergeLabels([mev, cex, labelsOf(`address\n${B}`, 'later.csv')]);
  expect(merged.get(`ethereum:${A}`)).toMatchObject({ kind: 'exchange', entity: 'one' });
  expect(merged.get(`ethereum:${B}`)).toMatchObject({ kind: 'mev', source: 'file.csv' });
});
