/**
 * EVM chain over JSON-RPC: full blocks with receipts (Ethereum execution APIs: `eth_subscribe` newHeads,
 * `eth_getBlockByNumber`, `eth_getBlockReceipts`). One raw record per block, in order, with the bytes as received:
 * `{"block":...,"receipts":...}`. What it has and lacks stands in `ledger.coverage`, and a restart goes on from there.
 *
 * When the node goes away it waits and tries again; numbers without a block are entered as missing and asked for
 * later; a branch that replaces seen blocks is emitted after them. A crash repeats a block at worst, never skips one.
 */
import { z } from 'zod';
import { PipelineError, printableUrl } from '#pipeline/errors.ts';
import { type ConnectorContext, defineConnector } from '#pipeline/rooms.ts';
import { ledgerCoverage, rawEvm } from '#schemas/topics.ts';
import { createBlockFetcher } from './blocks.ts';
import { createRpcClient, type RpcClient } from './client.ts';
import { createFollower, type Follower } from './follow.ts';
import { watchHeads } from './heads.ts';
import { type Ledger, openLedger } from './ledger.ts';
import { parseQuantity } from './parse.ts';

const config = z.strictObject({
  rpcUrl: z.url({ protocol: /^https?$/ }),
  /** Null: poll for heads. */
  wsUrl: z
    .url({ protocol: /^wss?$/ })
    .nullable()
    .default(null),
  chainId: z.int().min(1).default(1),
  /** Where an empty ledger starts; `latest`: at the first head seen. */
  startBlock: z.union([z.literal('latest'), z.int().min(0)]).default('latest'),
  pollIntervalMs: z.int().min(10).default(2_000),
  /** Without a head for this long, the socket is opened again. */
  headTimeoutMs: z.int().min(100).default(30_000),
  receipts: z.boolean().default(true),
  receiptAttempts: z.int().min(1).default(3),
  blockAttempts: z.int().min(1).default(3),
  /** Pause before a block near the head is asked for again. */
  retryDelayMs: z.int().min(1).default(200),
  requestTimeoutMs: z.int().min(10).default(10_000),
  /** A block with its receipts; a larger block is entered as missing. */
  maxBlockBytes: z
    .int()
    .min(1)
    .default(15 * 1024 * 1024),
  /** Blocks fetched ahead. */
  concurrency: z.int().min(1).default(4),
  /** Larger holes are probed at their ends only, and not repaired. */
  maxProbe: z.int().min(8).default(64),
  repairIntervalMs: z.int().min(10).default(60_000),
});

export default defineConnector({
  name: 'evm',
  summary: 'Full blocks and receipts of an EVM chain, from a JSON-RPC node.',
  config,
  outputs: [rawEvm, ledgerCoverage],
  isFinite: false,
  create(options, context) {
    const rpc = createRpcClient({
      url: options.rpcUrl,
      timeoutMs: options.requestTimeoutMs,
      clock: context.clock,
    });
    let running: { follower: Follower; ledger: Ledger } | null = null;
    let isStarting = false;

    return {
      check: (signal) => checkChain(rpc, options, signal),
      async run(signal) {
        isStarting = true;
        try {
          await runUntilAborted({ rpc, options, context, signal }, (parts) => {
            running = parts;
            isStarting = false;
          });
        } finally {
          isStarting = false;
        }
      },
      status: () => ({
        isIdle: !isStarting && (running?.follower.isIdle ?? true),
        detail: running === null ? 'not started' : describe(running.ledger),
      }),
    };
  },
});

type Options = z.infer<typeof config>;

async function checkChain(rpc: RpcClient, options: Options, signal: AbortSignal): Promise<void> {
  const answer = await rpc.call({ method: 'eth_chainId', params: [], signal });
  const found = answer.kind === 'result' ? parseQuantity(answer.bytes) : null;
  if (found === options.chainId) return;
  const where = printableUrl(options.rpcUrl);
  const what = found === null ? `no chain id (${answer.kind})` : `chain id ${found}`;
  throw new PipelineError(
    'PROVIDER_REFUSED',
    `evm: expected chain id ${options.chainId}, found ${what}, at ${where}; set chainId or rpcUrl`,
    { facts: { url: where, expected: options.chainId, found } },
  );
}

async function runUntilAborted(
  parts: { rpc: RpcClient; options: Options; context: ConnectorContext; signal: AbortSignal },
  onStart: (running: { follower: Follower; ledger: Ledger }) => void,
): Promise<void> {
  const { rpc, options, context } = parts;
  const { clock, metrics } = context;
  const log = context.log.for('evm');
  const source = `evm:${options.chainId}`;
  // A record that Kafka refuses for good ends everything here, like an abort from outside but with its error.
  const failed = new AbortController();
  const signal = AbortSignal.any([parts.signal, failed.signal]);
  const onFailure = (error: unknown) => failed.abort(error);

  const ledger = await openLedger({ context, source, onFailure });
  const blocks = createBlockFetcher({ rpc, options, clock, log, signal });
  const key = String(options.chainId);
  const follower = createFollower({ context, options, key, source, blocks, ledger, signal, onFailure });
  onStart({ follower, ledger });
  log.info('following the chain', { source, position: ledger.position, url: printableUrl(options.rpcUrl) });

  const stopRepairs = clock.every(options.repairIntervalMs, () => follower.repair());
  const heads = watchHeads({ rpc, options, clock, log, metrics, signal, onHead: follower.onHead });
  await Promise.all([heads.catch(onFailure), follower.run()]);
  stopRepairs();
  if (failed.signal.aborted && !parts.signal.aborted) throw failed.signal.reason;
  ledger.endRun();
  await follower.settled();
}

const describe = (ledger: Ledger): string => {
  const block = ledger.position === null ? 'no block' : `block ${ledger.position.toLocaleString('en-US')}`;
  return `${block}, ${ledger.seenCount} seen, ${ledger.missing.length} missing ranges`;
};
