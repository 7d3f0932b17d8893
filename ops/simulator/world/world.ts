/** The seeded world: a chain, a market and a webhook sender, finite and fixed by the seed, or without end and live. */
import type { Clock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { Content } from '../simulator.ts';
import type { Speed } from '../speed.ts';
import { BLOCK_MS, WORLD_EPOCH_MS, writeLabels } from './cast.ts';
import { createWorldChain } from './chain.ts';
import { createWorldFeed } from './market.ts';
import { createWorldDeliveries, DELIVERY_MS } from './solana.ts';

const FIRST_BLOCK = 30_000_000;
/** A world without end needs a pace even where none is wanted. */
const ENDLESS_MAX_SPEED = 100;

/** Writes the labels file and prepares everything else. Throws CONFIG_INVALID for a length that is no whole number. */
export async function createWorld(options: {
  seed: number;
  speed: Speed;
  clock: Clock;
  worldBlocks?: number;
  eventsPerSecond?: number;
  directory: string;
}): Promise<Content> {
  const { seed, clock } = options;
  const total = options.worldBlocks ?? null;
  if (total !== null && (!Number.isSafeInteger(total) || total < 1))
    throw new PipelineError(
      'CONFIG_INVALID',
      `simulator: worldBlocks is ${total}; expected a whole number above 0`,
    );
  const isEndless = total === null;
  const factor = isEndless && options.speed === 'max' ? ENDLESS_MAX_SPEED : options.speed;
  const startMs = isEndless ? clock.nowMs() : WORLD_EPOCH_MS;
  // Feed time to epoch milliseconds: a live world shows the wall clock.
  const timeFrom = (fromMs: number) => (atMs: number) =>
    isEndless && factor !== 'max' ? fromMs + atMs / factor : WORLD_EPOCH_MS + atMs;
  // A live world that starts again is another one, further on: what it said before stays true.
  const salt = isEndless ? `${seed}:${startMs}` : String(seed);
  const passed = isEndless ? Math.max(0, Math.floor((startMs - WORLD_EPOCH_MS) / BLOCK_MS)) : 0;
  const durationMs = total === null ? null : total * BLOCK_MS;

  let firstAskedMs: number | null = null;
  const openTime = () => timeFrom(clock.nowMs());
  const chain = createWorldChain({
    salt,
    total,
    firstNumber: FIRST_BLOCK + passed,
    timeOf: (index) => {
      firstAskedMs ??= clock.nowMs();
      return timeFrom(firstAskedMs)(index * BLOCK_MS);
    },
  });
  const tradesPerSecond = options.eventsPerSecond ?? null;
  const feed = (category: 'spot' | 'linear') =>
    createWorldFeed({ salt, category, durationMs, tradesPerSecond, openTime });
  let firstDeliveryMs: number | null = null;
  const deliveries = createWorldDeliveries({
    salt,
    batches: durationMs === null ? null : Math.ceil(durationMs / DELIVERY_MS),
    timeOf: (atMs) => {
      firstDeliveryMs ??= clock.nowMs();
      return timeFrom(firstDeliveryMs)(atMs);
    },
  });
  return {
    chain,
    feeds: [feed('spot'), feed('linear')],
    deliveries,
    labelFiles: [await writeLabels(options.directory)],
    skippedLines: 0,
    speed: factor,
    planted: (announced) => chain.planted(total ?? announced),
  };
}
