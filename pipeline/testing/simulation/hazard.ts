/** What kills the process that folds it, in a simulated world: one input of one handler, or some firings of a timer. */
import type { Moment, Value } from './logic.ts';
import type { Random } from './scheduler.ts';

interface InputHazard {
  readonly logic: 'normalize' | 'expand' | 'gather' | 'tally';
  readonly topic: string;
  readonly number: number;
  /** One in so many of these. */
  readonly oneIn: number;
}

interface TimerHazard {
  readonly logic: 'expire' | 'settle';
  readonly key: string;
  readonly rest: number;
}

/** `untilMs`: log time after which nothing kills any more; missing: without end. */
export type Hazard = (InputHazard | TimerHazard) & { readonly untilMs?: number };

/** Firings of a timer are poison where their due time leaves this rest. */
const TIMER_PERIOD = 11;

/** `made`: numbers of records that will be there. */
export function chooseHazard(random: Random, made: number): Hazard {
  const logic = random.pick(['normalize', 'expand', 'gather', 'tally', 'expire', 'settle'] as const);
  if (logic === 'expire' || logic === 'settle')
    return { logic, key: String(random.below(5)), rest: random.below(TIMER_PERIOD) };
  const topic = { normalize: 'a', expand: 'mid', gather: random.pick(['mid', 'dev']), tally: 'fin' }[logic];
  // Behind the windows, numbers are counts: small ones are everywhere, and nobody would get anywhere.
  return { logic, topic, number: random.between(1, made), oneIn: topic === 'dev' || topic === 'fin' ? 8 : 1 };
}

/** Whether logic of this name, called with this, kills. `atMs` of timers alone. */
export function isHazard(
  hazard: Hazard | null,
  logic: string,
  value: Pick<Value, 'number' | 'hash'> | null,
  { topic, key, logTimeMs, atMs = 0 }: Moment & { readonly atMs?: number },
): boolean {
  if (hazard === null || hazard.logic !== logic) return false;
  if (hazard.untilMs !== undefined && logTimeMs > hazard.untilMs) return false;
  if ('rest' in hazard) return key === hazard.key && atMs % TIMER_PERIOD === hazard.rest;
  if (value === null || topic !== hazard.topic) return false;
  return value.number === hazard.number && value.hash % hazard.oneIn === 0;
}

/** Asked by all logic before it works, with its name; the world at hand sets it. True: the process is dead. */
export const danger: {
  strikes(logic: string, value: Value | null, moment: Moment & { readonly atMs?: number }): boolean;
} = { strikes: () => false };
