/** All connectors, one line each. */
import bybit from './bybit/index.ts';
import evm from './evm/index.ts';
import helius from './helius/index.ts';
import labels from './labels/index.ts';
import rules from './rules/index.ts';
import tokens from './tokens/index.ts';

/** Names equal the folders; order means nothing. */
export const connectors = [evm, bybit, helius, labels, tokens, rules] as const;
