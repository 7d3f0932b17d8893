/** The producers of simulated processes. */
import type { Entry, Producer } from '#pipeline/kafka/types.ts';
import type { SimulatedLog } from './log.ts';
import { type Owner, WORLD } from './scheduler.ts';

/** A client that asks in vain does not ask all the time. */
const STUCK_PAUSE_MS = 5;

interface Queued {
  readonly topic: string;
  readonly partition: number;
  readonly entry: Entry;
  readonly acknowledged: ((offset: number) => void) | null;
}

const placeOf = ({ topic, partition }: { topic: string; partition: number }): string =>
  `${topic}/${partition}`;

/**
 * As the real one: one request outstanding, an answer for every partition, what has none is sent again. Where partitions are
 * independent, one that is stuck is put aside.
 */
export function createSimulatedProducer(
  log: SimulatedLog,
  owner: Owner,
  options: { onStored: (topic: string, isInPart: boolean) => void; isIndependent: boolean },
): Producer {
  const { scheduler } = log;
  const { random } = scheduler;
  let queue: Queued[] = [];
  let inFlight: readonly Queued[] = [];
  /** By partition: what is sent again by itself. */
  const aside = new Map<string, readonly Queued[]>();
  let isScheduled = false;
  let waiters: { readonly left: () => boolean; readonly resolve: () => void }[] = [];
  let [appended, done] = [0, 0];

  const check = (): void => {
    const ready = waiters.filter(({ left }) => !left());
    waiters = waiters.filter(({ left }) => left());
    for (const { resolve } of ready) resolve();
  };
  const whenNot = (left: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      if (!left()) resolve();
      else waiters.push({ left, resolve });
    });
  const send = (): void => {
    isScheduled = false;
    const ready = aside.size === 0 ? queue : queue.filter((item) => !aside.has(placeOf(item)));
    if (inFlight.length > 0 || ready.length === 0) return;
    inFlight = ready.slice(0, random.between(1, 12));
    const taken = new Set(inFlight);
    queue = queue.filter((item) => !taken.has(item));
    request(inFlight, goOn);
  };
  const request = (items: readonly Queued[], onAnswer: (unanswered: readonly Queued[]) => void): void => {
    const { faults } = log;
    // On the way it belongs to nobody: the death of its sender does not stop it, or only by chance.
    const isLostWithSender = random.chance(0.4);
    scheduler.after(random.between(0, faults.delayMs), WORLD, () => {
      if (owner.isDead && isLostWithSender) return;
      deliver(items, onAnswer);
    });
    if (random.chance(faults.ghosts))
      scheduler.after(random.between(0, 20 * faults.delayMs), WORLD, () => deliver(items, null));
  };
  /** Nobody hears the answer to a ghost. */
  const deliver = (
    items: readonly Queued[],
    onAnswer: ((unanswered: readonly Queued[]) => void) | null,
  ): void => {
    const { faults } = log;
    const unanswered: Queued[] = [];
    const stored: string[] = [];
    let isInPart = false;
    for (const part of Map.groupBy(items, placeOf).values()) {
      if (random.chance(faults.refused) || part.some(isStuck)) {
        unanswered.push(...part);
        isInPart = true;
        continue;
      }
      const offsets = part.map(({ topic, partition, entry }) => log.append(topic, partition, entry));
      if (onAnswer === null) continue;
      stored.push(part[0]?.topic ?? '');
      if (random.chance(faults.unanswered)) unanswered.push(...part);
      else for (const [at, item] of part.entries()) item.acknowledged?.(offsets[at] ?? -1);
    }
    if (onAnswer === null) return;
    for (const topic of stored) options.onStored(topic, isInPart);
    const pauseMs = unanswered.some(isStuck) ? STUCK_PAUSE_MS : 0;
    scheduler.after(random.between(0, faults.delayMs) + pauseMs, owner, () => onAnswer(unanswered));
  };
  const isStuck = ({ topic, partition }: Queued): boolean => log.partition(topic, partition).isStuck;
  const goOn = (unanswered: readonly Queued[]): void => {
    const held = options.isIndependent ? unanswered.filter(isStuck) : [];
    for (const [place, part] of Map.groupBy(held, placeOf)) sendAside(place, part);
    inFlight = inFlight.filter((item) => !held.includes(item));
    const left = unanswered.filter((item) => !held.includes(item));
    if (left.length > 0) {
      // In the order of the queue: what follows waits.
      request(left, goOn);
      return;
    }
    done += inFlight.length;
    inFlight = [];
    check();
    send();
  };
  const sendAside = (place: string, part: readonly Queued[]): void => {
    aside.set(place, part);
    request(part, (unanswered) => {
      if (unanswered.length > 0) {
        sendAside(place, unanswered);
        return;
      }
      aside.delete(place);
      done += part.length;
      check();
      send();
    });
  };
  const enqueue = (item: Queued): void => {
    queue.push(item);
    appended += 1;
    if (inFlight.length > 0 || isScheduled) return;
    isScheduled = true;
    scheduler.after(random.between(0, log.faults.delayMs), owner, send);
  };
  return {
    append: (topic, partition, entry) => enqueue({ topic, partition, entry, acknowledged: null }),
    send: (topic, partition, entry) =>
      new Promise((resolve) => {
        const acknowledged = (offset: number) => resolve({ offset, appendTimeMs: -1 });
        enqueue({ topic, partition, entry, acknowledged });
      }),
    acknowledged: () => {
      const until = appended;
      return whenNot(() => done < until || aside.size > 0);
    },
    get pendingBytes() {
      return queue.length + inFlight.length;
    },
    isHeldUp: (topic, partition) => aside.has(placeOf({ topic, partition })),
    writable: () => whenNot(() => queue.length > 40),
    close: () => whenNot(() => queue.length + inFlight.length + aside.size > 0),
  };
}
