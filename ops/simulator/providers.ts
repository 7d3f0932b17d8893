/** What connectors must be told so that a simulator serves them in place of the providers. */
import type { Simulator } from './simulator.ts';

/** The world's own secret: it only guards loopback. */
export const SIMULATED_AUTHORIZATION = 'baleen-simulated-world';
const SILENCE_MS = 86_400_000;

/** Settings by connector. */
export const simulatedProviders = ({ urls, labelFiles }: Pick<Simulator, 'urls' | 'labelFiles'>) => ({
  evm: { rpcUrl: urls.evmRpc, wsUrl: urls.evmWs, chainId: urls.evmChainId },
  // A recording that has been played falls silent: that is its end, not a lost connection.
  bybit: { url: urls.bybit, silenceMs: SILENCE_MS },
  helius: { authorization: SIMULATED_AUTHORIZATION },
  labels: { files: labelFiles },
});
