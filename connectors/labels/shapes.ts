/** The tables that label files come as, told apart by their header. Pure. */
import type { Label } from '#schemas/label.ts';
import type { LabelChain } from './address.ts';

/** What a row says of an address, before the address is checked. `chain` and `address` are as written. */
export interface Claim {
  readonly chain: string;
  readonly address: string;
  readonly name: string;
  readonly kind: Label['kind'];
  /** Null when unknown. */
  readonly entity: string | null;
  /** Text of the day since which it holds; empty when unknown. */
  readonly since: string;
  readonly confidence: number;
}

/** A row by column name; empty text for a column that is missing. */
export type Cells = (column: string) => string;

/** A known table: `columns` must all be in its header. */
export interface Shape {
  readonly name: string;
  readonly columns: readonly string[];
  /** The header has no other column. */
  readonly isExact?: boolean;
  claims(cells: Cells): readonly Claim[];
}

const CURATED = 0.95;
const HEURISTIC = 0.8;

const ETHEREUM: LabelChain = 'ethereum';
const SOLANA: LabelChain = 'solana';

const exchange = (cells: Cells, chain: string): Claim => ({
  chain,
  address: cells('address'),
  name: cells('distinct_name') || cells('cex_name'),
  kind: 'exchange',
  entity: entityOf(cells('cex_name')),
  since: cells('added_date'),
  confidence: CURATED,
});

const oracle = (cells: Cells, column: string, part: string): Claim => ({
  chain: ETHEREUM,
  address: cells(column),
  name: `Chainlink: ${cells('feed_name')} ${part}`,
  kind: 'oracle',
  entity: 'chainlink',
  since: '',
  confidence: CURATED,
});

/** In order of test: the first whose columns are all there is taken. */
export const SHAPES: readonly Shape[] = [
  {
    name: 'exchange wallets by chain',
    columns: ['blockchain', 'address', 'cex_name', 'distinct_name'],
    claims: (cells) => [exchange(cells, cells('blockchain'))],
  },
  {
    name: 'exchange wallets, EVM',
    columns: ['address', 'cex_name', 'distinct_name'],
    claims: (cells) => [exchange(cells, ETHEREUM)],
  },
  {
    name: 'named addresses by category',
    columns: ['blockchain', 'address', 'name', 'category'],
    claims: (cells) => {
      const kind = kindOfCategory(cells('category'));
      const [owner = '', ...rest] = cells('name').split(':');
      return [
        {
          chain: cells('blockchain'),
          address: cells('address'),
          name: cells('name'),
          kind,
          // A bridge contract is named `<owner>: <contract>`; without the colon the owner is not stated.
          entity: kind === 'fund' || rest.length > 0 ? entityOf(owner) : null,
          since: cells('created_at'),
          confidence: CURATED,
        },
      ];
    },
  },
  {
    name: 'sanctioned addresses',
    columns: ['address', 'protocol', 'description', 'currency_contract'],
    claims: (cells) => [
      {
        chain: cells('blockchain') || ETHEREUM,
        address: cells('address'),
        name: joined(cells('protocol'), cells('description')),
        kind: 'sanctioned',
        entity: entityOf(cells('protocol')),
        since: '',
        confidence: CURATED,
      },
    ],
  },
  {
    name: 'rollup contracts and submitters',
    columns: ['address', 'protocol_name', 'codebase'],
    claims: (cells) => [
      {
        chain: ETHEREUM,
        address: cells('address'),
        name: cells('description') || joined(cells('protocol_name'), cells('submitter_type')),
        kind: 'rollup',
        entity: entityOf(cells('protocol_name')),
        since: '',
        confidence: CURATED,
      },
    ],
  },
  {
    name: 'price feeds',
    columns: ['feed_name', 'proxy_address', 'aggregator_address'],
    claims: (cells) => [
      oracle(cells, 'proxy_address', 'feed'),
      oracle(cells, 'aggregator_address', 'aggregator'),
    ],
  },
  { name: 'tagged addresses', columns: ['address', 'labels'], isExact: true, claims: tagged },
  {
    name: 'MEV bots',
    columns: ['address'],
    isExact: true,
    claims: (cells) => [
      {
        chain: ETHEREUM,
        address: cells('address'),
        name: 'MEV bot',
        kind: 'mev',
        entity: null,
        since: '',
        confidence: HEURISTIC,
      },
    ],
  },
];

/** The shape of a header; null when no shape fits. */
export const shapeOf = (header: readonly string[]): Shape | null =>
  SHAPES.find(
    ({ columns, isExact }) =>
      columns.every((column) => header.includes(column)) && (!isExact || header.length === columns.length),
  ) ?? null;

/** Owner in the form in which owners are compared: lower case, one space; null when empty. */
export function entityOf(text: string): string | null {
  const plain = text.trim().toLowerCase().replaceAll(/\s+/g, ' ');
  return plain === '' ? null : (SAME_OWNER.get(plain) ?? plain);
}

/** Spellings of one owner in different files. */
const SAME_OWNER: ReadonlyMap<string, string> = new Map([
  ['gateio', 'gate.io'],
  ['huobi', 'htx'],
]);

function kindOfCategory(category: string): Label['kind'] {
  if (category === 'bridge') return 'bridge';
  return category === 'institution' || category === 'fund' ? 'fund' : 'other';
}

/** Solana tags, such as `CHAIN_SOLANA|CEX_BINANCE|HOT_WALLET|solscan: Binance 1`. */
function tagged(cells: Cells): readonly Claim[] {
  const tags = cells('labels').split('|');
  const owner = tags.find((tag) => /^(CEX|MMK|DEX)_/.test(tag));
  const named = tags.findLast((tag) => tag.includes(': '));
  return [
    {
      chain: SOLANA,
      address: cells('address'),
      name: named?.slice(named.indexOf(': ') + 2) ?? owner ?? tags.at(-1) ?? '',
      kind: owner?.startsWith('CEX_') ? 'exchange' : 'other',
      entity: entityOf(owner?.slice(4).replaceAll('_', ' ') ?? ''),
      since: '',
      confidence: CURATED,
    },
  ];
}

const joined = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(': ');
