/** Local servers that speak the providers' wire protocols, from a recordings folder or from a seeded world. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Clock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { type Log, silentLog } from '#pipeline/telemetry/log.ts';
import { startBybitServer } from './bybit.ts';
import { type BybitFeed, loadRecordedFeed } from './bybit-feed.ts';
import { startEvmServer } from './evm.ts';
import type { EvmChain } from './evm-chain.ts';
import { loadRecordedChain } from './evm-recorded.ts';
import { type DeliverySource, loadRecordedDeliveries, startHelius, type WebhookTarget } from './helius.ts';
import { type BybitStream, type EvmStream, type RecordedStream, readManifest } from './manifest.ts';
import type { Progress, Speed } from './speed.ts';
import { createWorld } from './world/world.ts';

export interface SimulatorOptions {
  /** Folder with a `recordings.json`; null for the seeded world. */
  readonly recordings: string | null;
  readonly seed: number;
  /** Factor of the recorded pace; `max` removes pauses (a world without end then runs at a factor of 100). */
  readonly speed: Speed;
  readonly log: Log;
  readonly clock: Clock;
  /** Where webhooks go; null until `setHelius`. */
  readonly helius: WebhookTarget | null;
  /** 0 or missing: any free port. */
  readonly ports?: { readonly evm?: number; readonly bybit?: number };
  /** World only: it ends after so many blocks, and everything in it follows from the seed alone. */
  readonly worldBlocks?: number;
  /** World only: Bybit linear trades each second on the symbols that are subscribed to by default, in place of the usual few. */
  readonly eventsPerSecond?: number;
  /** No block is announced before `releaseChain`. */
  readonly holdsChain?: boolean;
  /** World only: where the labels file is written. Missing: a temporary folder, removed by `close`. */
  readonly directory?: string;
}

export interface Simulator {
  readonly urls: {
    readonly evmRpc: string;
    readonly evmWs: string;
    /** `/spot` and `/linear` follow. */
    readonly bybit: string;
    readonly evmChainId: number;
  };
  /** Absolute paths. */
  readonly labelFiles: readonly string[];
  /** Every market feed has been read to its end; one without end never is. */
  isMarketDone(): boolean;
  /** Blocks are announced from now on. */
  releaseChain(): void;
  /** Deliveries begin, or go on with this target. */
  setHelius(target: WebhookTarget): void;
  progress(): readonly Progress[];
  /** Everything of every stream was delivered. A world without end is never done. */
  isDone(): boolean;
  /** Recorded lines that could not be served. */
  skippedLines(): number;
  /** World only (else empty): transactions so far that move more than 100 ETH and did not fail. */
  planted(): readonly string[];
  close(): Promise<void>;
}

/** What is served, wherever it comes from. */
export interface Content {
  readonly chain: EvmChain;
  readonly feeds: readonly BybitFeed[];
  readonly deliveries: DeliverySource;
  readonly labelFiles: readonly string[];
  readonly skippedLines: number;
  readonly speed: Speed;
  planted(announced: number): readonly string[];
}

/**
 * Starts all servers on loopback. Throws RECORDINGS_INVALID (broken manifest, missing files), CONFIG_INVALID (speed)
 * or SERVICE_FAILED (a port is taken).
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { clock } = options;
  if (options.speed !== 'max' && !(options.speed > 0))
    throw new PipelineError(
      'CONFIG_INVALID',
      `simulator: speed is ${options.speed}; expected a number above 0 or 'max'`,
    );
  const log = options.log.for('simulator');
  const temporary =
    options.recordings === null && options.directory === undefined
      ? await mkdtemp(join(tmpdir(), 'baleen-world-'))
      : null;
  const removeTemporary = async (): Promise<void> => {
    if (temporary !== null) await rm(temporary, { recursive: true, force: true });
  };
  const content =
    options.recordings === null
      ? await createWorld({ ...options, directory: options.directory ?? temporary ?? '.' })
      : await loadRecordings(options.recordings, options.seed, options.speed, log);
  const { speed } = content;
  const port = options.ports ?? {};
  const evm = await startEvmServer({
    chain: content.chain,
    speed,
    isHeld: options.holdsChain ?? false,
    clock,
    log,
    port: port.evm ?? 0,
  }).catch(giveUp(removeTemporary));
  const bybit = await startBybitServer({
    feeds: content.feeds,
    speed,
    clock,
    log,
    port: port.bybit ?? 0,
  }).catch(giveUp(evm.close, removeTemporary));
  const helius = startHelius({ source: content.deliveries, speed, clock, log });
  if (options.helius) helius.setTarget(options.helius);
  const progress = () => [evm.progress(), ...bybit.progress(), helius.progress()];
  return {
    urls: { evmRpc: evm.rpcUrl, evmWs: evm.wsUrl, bybit: bybit.url, evmChainId: content.chain.chainId },
    labelFiles: content.labelFiles,
    isMarketDone: () => bybit.progress().every(({ isDone }) => isDone),
    releaseChain: evm.release,
    setHelius: helius.setTarget,
    progress,
    isDone: () => progress().every(({ isDone }) => isDone),
    skippedLines: () => content.skippedLines,
    planted: () => content.planted(evm.announcedCount()),
    close: async () => {
      await Promise.all([evm.close(), bybit.close(), helius.close()]);
      await removeTemporary();
    },
  };
}

/** Undoes what was started, then lets the error rise. */
const giveUp =
  (...steps: readonly (() => Promise<void>)[]) =>
  async (error: unknown): Promise<never> => {
    for (const step of steps) await step();
    throw error;
  };

async function loadRecordings(folder: string, seed: number, speed: Speed, log: Log): Promise<Content> {
  const root = resolve(folder);
  const streams = await readManifest(root, log);
  const evm = streams.filter((stream): stream is EvmStream => stream.provider === 'evm');
  const chainId = evm.find(({ kind }) => kind === 'blocks')?.chainId ?? evm[0]?.chainId ?? 1;
  for (const other of evm.filter((stream) => stream.chainId !== chainId))
    log.info('only one chain is served; a recorded stream of another is left out', {
      chainId: other.chainId,
    });
  const mine = evm.filter((stream) => stream.chainId === chainId);
  const { chain, skipped } = await loadRecordedChain({ root, chainId, streams: mine, log });
  let skippedLines = skipped;

  const bybit = streams.filter((stream): stream is BybitStream => stream.provider === 'bybit');
  const feeds: BybitFeed[] = [];
  for (const category of new Set(bybit.map((stream) => stream.category))) {
    const own = bybit.filter((stream) => stream.category === category);
    const loaded = await loadRecordedFeed({ root, category, streams: own, log, quiet: silentLog });
    feeds.push(loaded.feed);
    skippedLines += loaded.skipped;
  }
  const filesOf = (provider: RecordedStream['provider']) =>
    streams.filter((stream) => stream.provider === provider).flatMap((stream) => stream.files);
  const helius = await loadRecordedDeliveries({
    root,
    files: filesOf('helius'),
    seed,
    log,
    quiet: silentLog,
  });
  skippedLines += helius.skipped;
  return {
    chain,
    feeds,
    deliveries: helius.source,
    labelFiles: filesOf('labels'),
    skippedLines,
    speed,
    planted: () => [],
  };
}
