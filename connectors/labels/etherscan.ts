/** Lines of `{address: {name, labels[]}}`: names and tags of a block explorer. Pure. */
import { z } from 'zod';
import type { Label } from '#schemas/label.ts';
import { type Claim, entityOf } from './shapes.ts';

const EXPLORER = 0.7;

const entry = z.object({ name: z.string(), labels: z.array(z.string()).max(1_000) });

/**
 * Tags under which exchanges keep wallets. The tag alone is not enough: it also marks the exchange's tokens and
 * contracts, so the name has to read like a wallet too (`Kraken 5`, `OKX: Deposit Funder 4`).
 */
const EXCHANGE_TAGS: ReadonlySet<string> = new Set(
  [
    'ascendex',
    'binance',
    'bitfinex',
    'bithumb',
    'bitmart',
    'bitstamp',
    'bittrex',
    'coinbase',
    'coinone',
  ].concat(
    [
      'crypto-com',
      'deribit',
      'ftx',
      'gate-io',
      'gemini',
      'hitbtc',
      'hotbit',
      'huobi',
      'korbit',
      'kraken',
    ].concat(['kucoin', 'okx', 'poloniex', 'upbit']),
  ),
);
const WALLET_NAME = /^[\w.]+( \d+|:? (cold|hot) wallet.*|: deposit.*)?$/i;

/** Claims of one line; throws when it is not an object of such entries. */
export function parseExplorerLine(line: string): readonly Claim[] {
  const parsed: unknown = JSON.parse(line);
  // `z.record` would drop or choke on odd keys; entries keep `__proto__` a plain key that is no address.
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new TypeError('expected an object {address: {name, labels}}');
  }
  return Object.entries(parsed).map(([address, value]) => {
    const { name, labels } = entry.parse(value);
    const exchangeTag = labels.find((tag) => EXCHANGE_TAGS.has(tag));
    const kind = kindOf(name, labels, exchangeTag);
    return {
      chain: 'ethereum',
      address,
      name: name || labels.join(', '),
      kind,
      entity: kind === 'exchange' && exchangeTag !== undefined ? entityOf(ownerOf(exchangeTag)) : null,
      since: '',
      confidence: EXPLORER,
    };
  });
}

function kindOf(name: string, labels: readonly string[], exchangeTag: string | undefined): Label['kind'] {
  if (labels.includes('ofac-sanctions-lists')) return 'sanctioned';
  if (labels.includes('exchange')) return 'exchange';
  if (exchangeTag !== undefined && WALLET_NAME.test(name)) return 'exchange';
  // Tokens of bridges carry the tag too.
  if (labels.includes('bridge') && /bridge/i.test(name)) return 'bridge';
  return labels.includes('mev-bot') ? 'mev' : 'other';
}

/** `crypto-com` -> `crypto.com`; tags of one word are the owner. */
const ownerOf = (tag: string): string => tag.replace(/-(com|io)$/, '.$1');
