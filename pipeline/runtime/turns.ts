/** The loop of a process: tasks fold in turns, pass their progress on, and ask for ticks when they wait. */
import type { Clock } from '#pipeline/clock.ts';
import type { Producer } from '#pipeline/kafka/types.ts';
import type { Task } from './task.ts';
import type { Ticker } from './ticker.ts';

/** How soon a task that waits looks again. */
const LOOK_AGAIN_MS = 2;
/** Most that is slept at once; timers of the platform overflow after 24 days. */
const LONGEST_SLEEP_MS = 3_600_000;
/** A reader that starts later needs the last tick once more (engine rules, 5.5). */
const REPEAT_TICK_MS = 1_000;
/** Where all who read are here and hear of progress in memory, Kafka's copy is for those who may come. */
const UNHEARD_TICK_MS = 20;

export interface Turns {
  /** There may be something to do. */
  wake(): void;
  stop(): void;
}

export function startTurns(options: {
  tasks: readonly Task[];
  producer: Producer;
  ticker: Pick<Ticker, 'want'>;
  clock: Clock;
  /** Records that a task folds before the others have their turn. */
  turnRecords: number;
  /** Readers hear of progress through Kafka: those of other processes, or those here for want of the hop. */
  isHeardElsewhere: () => boolean;
  /** False while the state of a task cannot be read: nothing is folded then. */
  isReady: () => boolean;
  /** After each turn. */
  onTurn: () => void;
  /** Runs `work`, and ends processing when it throws. Does nothing once processing has ended. */
  guard: (work: () => void) => void;
}): Turns {
  const { tasks, producer, ticker, clock, turnRecords, isHeardElsewhere, isReady, onTurn, guard } = options;
  let isStopped = false;
  let isScheduled = false;
  let isHeldBack = false;
  let lastTickMs = 0;
  let lookAgain: { readonly atMs: number; readonly abort: AbortController } | null = null;

  const wake = (): void => {
    if (isScheduled || isStopped) return;
    isScheduled = true;
    clock.soon(() => {
      isScheduled = false;
      if (!isStopped) guard(turn);
    });
  };

  const wakeAt = (atMs: number): void => {
    if (lookAgain !== null && lookAgain.atMs <= atMs) return;
    lookAgain?.abort.abort();
    const present = { atMs, abort: new AbortController() };
    lookAgain = present;
    const sleepMs = Math.min(LONGEST_SLEEP_MS, Math.max(LOOK_AGAIN_MS, atMs - clock.nowMs()));
    void clock.sleep(sleepMs, present.abort.signal).then(() => {
      if (lookAgain !== present) return;
      lookAgain = null;
      wake();
    });
  };

  const turn = (): void => {
    if (isHeldBack) return;
    if (!isReady()) {
      wakeAt(clock.nowMs() + LOOK_AGAIN_MS);
      return;
    }
    let folded = 0;
    let hasPromised = false;
    // Where processors are declared from the source down, a record goes all the way in one turn.
    for (const task of tasks) {
      folded += task.work(task.isMarked ? 1 : turnRecords);
      if (task.promise()) hasPromised = true;
      // Before a checkpoint says that it came there: who goes on as the next version does not repeat this one's last word.
      if (task.ended !== null) task.emitTick(false);
    }
    onTurn();
    const nowMs = clock.nowMs();
    const isEager = isHeardElsewhere();
    if (nowMs - lastTickMs >= (isEager ? LOOK_AGAIN_MS : UNHEARD_TICK_MS) || (isEager && folded === 0)) {
      lastTickMs = nowMs;
      for (const task of tasks) task.emitTick(false);
    } else if (!isEager && tasks.some((task) => task.owesTick)) wakeAt(lastTickMs + UNHEARD_TICK_MS);
    if (folded > 0 || hasPromised) {
      holdBack();
      return;
    }
    let waitsForMs = -1;
    let timerMs = Number.POSITIVE_INFINITY;
    for (const task of tasks) {
      if (task.halted !== null || task.ended !== null) continue;
      waitsForMs = Math.max(waitsForMs, task.blocked()?.logTimeMs ?? -1);
      timerMs = Math.min(timerMs, task.state.timers.nextLogMs);
    }
    if (waitsForMs >= 0) {
      ticker.want(waitsForMs);
      wakeAt(nowMs + LOOK_AGAIN_MS);
    } else if (timerMs < Number.POSITIVE_INFINITY) wakeAt(Math.max(timerMs, nowMs + LOOK_AGAIN_MS));
  };

  /** The next turn comes once the producer has room. */
  const holdBack = (): void => {
    isHeldBack = true;
    void producer.writable().then(
      () => {
        isHeldBack = false;
        wake();
      },
      (error: unknown) =>
        guard(() => {
          throw error;
        }),
    );
  };

  const stopRepeating = clock.every(REPEAT_TICK_MS, () =>
    guard(() => {
      for (const task of tasks) task.emitTick(true);
    }),
  );
  wake();
  return {
    wake,
    stop: () => {
      isStopped = true;
      stopRepeating();
      lookAgain?.abort.abort();
      lookAgain = null;
    },
  };
}
