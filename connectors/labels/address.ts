/** Addresses in the one form in which they are keys. Pure. */

/** Chains whose labels are kept. */
export const LABEL_CHAINS = ['ethereum', 'solana'] as const;
export type LabelChain = (typeof LABEL_CHAINS)[number];

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const SOLANA_ADDRESS_BYTES = 32;

/** EVM: lower case; Solana: as written, which is significant. Null when the text is no address of the chain. */
export function addressOn(chain: LabelChain, text: string): string | null {
  const trimmed = text.trim();
  if (chain === 'solana') return base58Length(trimmed) === SOLANA_ADDRESS_BYTES ? trimmed : null;
  const lower = trimmed.toLowerCase();
  return /^0x[0-9a-f]{40}$/.test(lower) ? lower : null;
}

/** Bytes that base58 text stands for; null when it is not base58 or longer than an address can be. */
function base58Length(text: string): number | null {
  if (!/^[1-9A-HJ-NP-Za-km-z]{32,44}$/.test(text)) return null;
  let value = 0n;
  for (const char of text) value = value * 58n + BigInt(BASE58.indexOf(char));
  // Each leading 1 is a zero byte that the number itself does not show.
  const leadingZeros = text.length - text.replace(/^1+/, '').length;
  const digits = value === 0n ? '' : value.toString(16);
  return leadingZeros + Math.ceil(digits.length / 2);
}
