/** Who trades in the seeded world: invented exchanges with known addresses, and wallets. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addressOf, base58Of } from './random.ts';

/** Where the world's time starts when its length is given: 2026-01-01T00:00:00Z. */
export const WORLD_EPOCH_MS = 1_767_225_600_000;
/** Time between blocks at speed 1. */
export const BLOCK_MS = 2_000;

const NAMES = ['Northwind', 'Harborline', 'Kestrel', 'Meridian Desk', 'Saltmarsh'];
const WALLETS_PER_EXCHANGE = 3;

/** Labelled addresses of the exchanges. */
export const EXCHANGES: readonly { name: string; distinctName: string; address: string }[] = NAMES.flatMap(
  (name) =>
    Array.from({ length: WALLETS_PER_EXCHANGE }, (_, index) => ({
      name,
      distinctName: `${name} ${index + 1}`,
      address: addressOf(`world exchange ${name} ${index}`),
    })),
);

/** Unlabelled wallets. */
export const WALLETS: readonly string[] = Array.from({ length: 400 }, (_, index) =>
  addressOf(`world wallet ${index}`),
);
/** Accounts on Solana. */
export const SOLANA_WALLETS: readonly string[] = Array.from({ length: 60 }, (_, index) =>
  base58Of(`world account ${index}`, 32),
);

/** Writes the labels of the exchanges (`address,cex_name,distinct_name,added_by,added_date`); returns the path. */
export async function writeLabels(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'cex_evm_addresses.csv');
  const rows = EXCHANGES.map(
    ({ address, name, distinctName }) => `${address},${name},${distinctName},world,2026-01-01`,
  );
  await writeFile(path, `address,cex_name,distinct_name,added_by,added_date\n${rows.join('\n')}\n`);
  return path;
}
