/** Which way a transfer goes, seen from exchanges (analytics, section 4). */
import type { EnrichedTransfer } from '#schemas/enriched-transfer.ts';
import type { Transfer } from '#schemas/transfer.ts';

export type Flow = EnrichedTransfer['flow'];
export type Party = NonNullable<EnrichedTransfer['fromLabel']>;

/** The owner of an exchange address; null: no exchange. Without a known entity its name stands for the owner. */
const exchangeOf = (party: Party | null): string | null =>
  party?.kind === 'exchange' ? (party.entity ?? party.name) : null;

/** The flow of a transfer with the labels that held at its time. Native coins are never minted or burnt by transfers. */
export function flowOf(
  { asset, from, to }: Pick<Transfer, 'asset' | 'from' | 'to'>,
  fromLabel: Party | null,
  toLabel: Party | null,
): Flow {
  if (from !== null && from === to) return 'self';
  // For native coins an unknown side is just unknown, such as the address of a new contract.
  if (asset !== 'native' && (from === null) !== (to === null)) return from === null ? 'mint' : 'burn';
  const sender = exchangeOf(fromLabel);
  const receiver = exchangeOf(toLabel);
  if (sender !== null && receiver !== null) return sender === receiver ? 'internal' : 'cross';
  if (receiver !== null) return 'inflow';
  return sender !== null ? 'outflow' : 'transfer';
}
