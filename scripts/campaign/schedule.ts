/** Which faults, when: a function of the seed. A round is some faults, then a calm in which everything must arrive. */
import { Random } from '#pipeline/testing/simulation/scheduler.ts';
import { DAMAGES, type Damage } from './disk.ts';
import { shareOf, WORKERS } from './fleet.ts';

interface Common {
  /** Since the round began. */
  readonly atMs: number;
  /** How long it lasts; then what can be mended is mended. */
  readonly forMs: number;
}

/** `who`: client ids that begin so; a worker, the feed, or all (empty). `node`: broker, from 1; 0: all. */
export type Fault = Common &
  (
    | { readonly kind: 'kill' | 'pause' | 'disk-full'; readonly workers: readonly string[] }
    | { readonly kind: 'damage'; readonly worker: string; readonly how: Damage; readonly chance: number }
    | { readonly kind: 'broker-stop' | 'broker-kill'; readonly node: number }
    | { readonly kind: 'leaders' | 'reassign'; readonly rotation: number }
    | { readonly kind: 'isolate-follower' | 'isolate-node'; readonly node: number }
    | { readonly kind: 'reset' | 'half-open' | 'hold'; readonly node: number; readonly who: string }
    | { readonly kind: 'slow'; readonly node: number; readonly who: string; readonly delayMs: number }
  );
export type FaultKind = Fault['kind'];

/** How often each kind comes in a full deck. */
const DECK = {
  kill: 5,
  pause: 4,
  'disk-full': 2,
  damage: 3,
  'broker-stop': 2,
  'broker-kill': 3,
  leaders: 4,
  reassign: 2,
  'isolate-follower': 2,
  'isolate-node': 2,
  reset: 4,
  'half-open': 2,
  hold: 3,
  slow: 3,
} as const satisfies Record<FaultKind, number>;

export const KINDS = Object.keys(DECK) as readonly FaultKind[];

/** Faults of a round begin within this time. */
export const ROUND_MS = 30_000;
const NODES = 3;
/** Longer than the time after which the driver gives a request up: then it is sent again, and the first one arrives too. */
const GHOST_MS = 45_000;

/** These take a broker away: one at a time, or nothing could be written at all. */
const TAKES_BROKER: ReadonlySet<FaultKind> = new Set([
  'broker-stop',
  'broker-kill',
  'isolate-follower',
  'isolate-node',
]);

export interface Schedule {
  /** The faults of the next round, by time. */
  next(): readonly Fault[];
}

/** `without`: kinds that this machine does not allow. */
export function createSchedule(seed: number, without: ReadonlySet<FaultKind> = new Set()): Schedule {
  const random = new Random(seed);
  const full = KINDS.filter((kind) => !without.has(kind)).flatMap((kind) =>
    Array.from({ length: DECK[kind] }, () => kind),
  );
  let deck: FaultKind[] = [];
  const draw = (): FaultKind => {
    // Kinds come in seeded order, but none is left out for long.
    if (deck.length === 0) deck = [...full];
    const [kind] = deck.splice(random.below(deck.length), 1);
    return kind ?? 'kill';
  };
  return {
    next: () => {
      const faults: Fault[] = [];
      let brokerFreeMs = 0;
      const freeMs = new Map<string, number>();
      for (let atMs = random.between(500, 3_000); atMs < ROUND_MS; atMs += random.between(500, 5_000)) {
        const fault = makeFault(random, draw(), atMs);
        const endMs = atMs + fault.forMs + 2_000;
        if (TAKES_BROKER.has(fault.kind)) {
          if (atMs < brokerFreeMs) continue;
          brokerFreeMs = endMs;
        }
        const workers = 'workers' in fault ? fault.workers : 'worker' in fault ? [fault.worker] : [];
        if (workers.some((worker) => atMs < (freeMs.get(worker) ?? 0))) continue;
        for (const worker of workers) freeMs.set(worker, endMs);
        faults.push(fault);
      }
      return faults;
    },
  };
}

function makeFault(random: Random, kind: FaultKind, atMs: number): Fault {
  const node = random.between(1, NODES);
  const lasting = (fromMs: number, toMs: number) => ({ atMs, forMs: random.between(fromMs, toMs) });
  const who = (): string => random.pick([...WORKERS, 'feed', '']);
  switch (kind) {
    case 'kill':
      return { kind, workers: victims(random), ...lasting(0, 6_000) };
    case 'pause':
      return { kind, workers: victims(random), ...lasting(300, random.chance(0.3) ? 20_000 : 5_000) };
    case 'disk-full':
      return { kind, workers: [random.pick(WORKERS)], ...lasting(2_000, 8_000) };
    case 'damage':
      return {
        kind,
        worker: random.pick(WORKERS),
        how: random.pick(DAMAGES),
        chance: random.next(),
        ...lasting(0, 1_000),
      };
    case 'broker-stop':
    case 'broker-kill':
      return { kind, node: random.chance(0.1) ? 0 : node, ...lasting(500, 8_000) };
    case 'leaders':
    case 'reassign':
      return { kind, rotation: random.between(1, NODES - 1), ...lasting(0, 3_000) };
    case 'isolate-follower':
    case 'isolate-node':
      return { kind, node, ...lasting(3_000, 12_000) };
    case 'reset':
      return { kind, node: random.chance(0.5) ? 0 : node, who: who(), ...lasting(0, 0) };
    case 'half-open':
      return { kind, node, who: who(), ...lasting(0, 0) };
    case 'hold': {
      const forMs = random.chance(0.2) ? GHOST_MS : random.between(500, 8_000);
      return { kind, node, who: random.pick(WORKERS), atMs, forMs };
    }
    case 'slow':
      return {
        kind,
        node: random.chance(0.5) ? 0 : node,
        who: who(),
        delayMs: random.between(5, 300),
        ...lasting(2_000, 12_000),
      };
  }
}

/** One worker mostly; sometimes both copies of a share, or all. */
function victims(random: Random): readonly string[] {
  const one = random.pick(WORKERS);
  const dice = random.next();
  if (dice < 0.7) return [one];
  return dice < 0.9 ? WORKERS.filter((worker) => shareOf(worker) === shareOf(one)) : WORKERS;
}

/** One line for people. */
export function describeFault(fault: Fault): string {
  const { kind, atMs: _, forMs, ...rest } = fault;
  const text = (name: string, value: unknown): string => {
    if (name === 'node') return value === 0 ? 'all brokers' : `broker ${value}`;
    if (name === 'who') return value === '' ? 'all clients' : String(value);
    if (name === 'delayMs') return `${value} ms each`;
    return Array.isArray(value) ? value.join('+') : name === 'chance' ? '' : `${value}`;
  };
  const details = Object.entries(rest).map(([name, value]) => text(name, value));
  return [kind, ...details, forMs > 0 ? `for ${forMs} ms` : ''].filter((part) => part !== '').join(' ');
}
