/** Follows a chain: fetches what is planned, ahead but in order, and emits it; branches, gaps and repairs included. */
import type { ConnectorContext } from '#pipeline/rooms.ts';
import { rawEvm } from '#schemas/topics.ts';
import type { BlockFetcher, Fetched, FetchedBlock } from './blocks.ts';
import type { Ledger } from './ledger.ts';
import { planSteps, type Step } from './plan.ts';
import { createQueue, type Queue } from './queue.ts';
import type { Head } from './wire.ts';

/** A branch is followed back this far, and no announcement further below the tip is looked at. */
const MAX_BRANCH_BLOCKS = 64;
/** Missing numbers asked for again at a time. */
const REPAIRS_AT_ONCE = 16;

export interface FollowOptions {
  readonly startBlock: number | 'latest';
  readonly maxProbe: number;
  readonly blockAttempts: number;
  readonly concurrency: number;
}

export interface Follower {
  onHead(head: Head): void;
  /** Fetches and emits until the signal of `createFollower` aborts; nothing is emitted once it has resolved. */
  run(): Promise<void>;
  /** Asks again for some of the missing numbers, if there is nothing else to do. */
  repair(): void;
  /** Resolves when everything emitted is acknowledged. */
  settled(): Promise<void>;
  /** Nothing is queued, being fetched or waiting for Kafka. */
  readonly isIdle: boolean;
}

/** A step with its block on the way. */
interface Job {
  readonly step: Step | { readonly kind: 'repair'; readonly number: number };
  readonly fetched: Promise<Fetched> | null;
}

export function createFollower(parts: {
  context: ConnectorContext;
  options: FollowOptions;
  key: string;
  source: string;
  blocks: BlockFetcher;
  ledger: Ledger;
  signal: AbortSignal;
  /** Called when it cannot go on, such as when Kafka refused a record for good; has to abort the signal. */
  onFailure: (error: unknown) => void;
}): Follower {
  const { context, options, key, source, blocks, ledger, signal, onFailure } = parts;
  const { log, metrics } = context;
  const emits = new Set<Promise<void>>();
  const heads: Queue<Head> = createQueue(signal);
  const jobs: Queue<Job> = createQueue(signal);
  let repairCursor = 0;

  const push = (step: Job['step'], attempts: number): void => {
    const isNumbered = step.kind === 'number' || step.kind === 'repair';
    const fetched = isNumbered ? blocks.byNumber(step.number, attempts) : null;
    // It is awaited in its turn; until then a failure must not count as unhandled.
    fetched?.catch(() => {});
    jobs.push({ step, fetched });
  };

  /** Starts fetching, at most `concurrency` blocks ahead, and only while Kafka keeps up. */
  async function fetchAhead(): Promise<never> {
    const start = options.startBlock === 'latest' ? null : options.startBlock - 1;
    const after = ledger.position ?? start;
    for await (const step of planSteps({ heads, blocks, after, maxProbe: options.maxProbe })) {
      await jobs.below(options.concurrency);
      await orAborted(context.writable());
      push(step, step.kind === 'number' && step.isTip ? options.blockAttempts : 1);
    }
    throw new Error('the plan ended');
  }

  async function emitInOrder(): Promise<never> {
    for (;;) {
      const { step, fetched } = await jobs.first();
      if (step.kind === 'hole') ledger.miss(step.first, step.last);
      else if (step.kind === 'announced') await followAnnounced(step.number, step.hash);
      else if (fetched !== null) await settle(step, await fetched);
      jobs.shift();
    }
  }

  async function settle(
    step: { kind: 'number' | 'repair'; number: number },
    fetched: Fetched,
  ): Promise<void> {
    if (fetched.kind === 'block')
      return emitBranch(fetched.block, step.kind === 'repair' ? 'repaired' : 'seen');
    if (step.kind === 'repair') return;
    if (fetched.kind !== 'absent') refuse(step.number, fetched);
    ledger.miss(step.number, step.number);
  }

  /** What cannot be used is passed on as it is, so that it can be looked at, and the chain goes on without it. */
  function refuse(number: number, fetched: Fetched & { kind: 'unreadable' | 'oversized' }): void {
    log.error('block refused', { number, reason: fetched.kind });
    metrics.add('connector_refused_total', { connector: 'evm', reason: fetched.kind });
    if (fetched.kind === 'unreadable') emit('unreadable', fetched);
  }

  /** A height that was announced before: news only if the hash is another one, near the tip. */
  async function followAnnounced(number: number, hash: string): Promise<void> {
    const known = ledger.hashOf(number);
    const isNear = number > (ledger.position ?? number) - MAX_BRANCH_BLOCKS;
    if (known === undefined || known === hash || !isNear) return;
    const fetched = await blocks.byHash(hash);
    if (fetched.kind === 'block') await emitBranch(fetched.block, 'seen');
    else log.warn('announced block not found', { number, hash, reason: fetched.kind });
  }

  /**
   * Emits a block, and before it those of its parents that replace blocks seen at their heights: after a
   * reorganisation, the new branch from its oldest block on. Which branch holds is for the reader to decide.
   */
  async function emitBranch(tip: FetchedBlock, state: 'seen' | 'repaired'): Promise<void> {
    if (ledger.hashOf(tip.number) === tip.hash) return;
    const branch = [tip];
    for (let oldest = tip; branch.length < MAX_BRANCH_BLOCKS; ) {
      const known = ledger.hashOf(oldest.number - 1);
      if (known === undefined || known === oldest.parentHash) break;
      const parent = await blocks.byHash(oldest.parentHash);
      if (parent.kind !== 'block' || parent.block.number !== oldest.number - 1) {
        log.warn('parent of a new branch not found', { number: oldest.number, hash: oldest.hash });
        break;
      }
      oldest = parent.block;
      branch.unshift(oldest);
    }
    if (branch.length > 1) log.info('chain reorganised', { number: tip.number, depth: branch.length - 1 });
    for (const block of branch) emitBlock(block, state);
  }

  function emitBlock(block: FetchedBlock, state: 'seen' | 'repaired'): void {
    const acknowledged = emit('block', block);
    const { receipts } = block;
    ledger.see(block, state, acknowledged);
    if (receipts === 'missing' || receipts === 'unavailable') {
      ledger.missReceipts(block, receipts, acknowledged);
    }
  }

  function emit(kind: string, { body, receivedAtMs }: { body: Buffer; receivedAtMs: number }): Promise<void> {
    const acknowledged = context
      .emit(rawEvm, key, { source, kind, receivedAtMs, body })
      .then(() => metrics.add('connector_records_total', { connector: 'evm' }));
    emits.add(acknowledged);
    acknowledged.then(() => emits.delete(acknowledged), onFailure);
    return acknowledged;
  }

  const orAborted = <T>(promise: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    });

  const isIdle = () => heads.size === 0 && jobs.size === 0 && emits.size === 0 && ledger.pendingCount === 0;

  return {
    onHead: (head) => heads.push(head),
    async run() {
      const loops = [fetchAhead(), emitInOrder()];
      for (const loop of loops) loop.catch(onFailure);
      await Promise.allSettled(loops);
    },
    async settled() {
      await Promise.all(emits);
      await ledger.settled();
    },
    repair() {
      if (!isIdle()) return;
      ledger.endRun();
      const numbers = ledger.missing
        .filter(({ first, last }) => last - first < options.maxProbe)
        .flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
      // Takes turns, so that numbers that never come back do not keep others waiting.
      if (repairCursor >= numbers.length) repairCursor = 0;
      const turn = numbers.slice(repairCursor, repairCursor + REPAIRS_AT_ONCE);
      repairCursor += turn.length;
      for (const number of turn) push({ kind: 'repair', number }, 1);
    },
    get isIdle() {
      return isIdle();
    },
  };
}
