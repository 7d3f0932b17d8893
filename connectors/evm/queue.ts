/** A first-in, first-out queue between two loops. */
export interface Queue<T> {
  push(item: T): void;
  /** Resolves with the oldest item, which stays in the queue until `shift`. */
  first(): Promise<T>;
  shift(): void;
  /** Resolves when fewer than `limit` items are in the queue. */
  below(limit: number): Promise<void>;
  readonly size: number;
}

/** `first` and `below` reject with the reason of the signal once it aborts. */
export function createQueue<T>(signal: AbortSignal): Queue<T> {
  const items: T[] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const resume of waiting) resume();
    waiting.clear();
  };
  signal.addEventListener('abort', wake, { once: true });

  const until = async (isReady: () => boolean): Promise<void> => {
    signal.throwIfAborted();
    while (!isReady()) {
      await new Promise<void>((resolve) => waiting.add(resolve));
      signal.throwIfAborted();
    }
  };

  return {
    push(item) {
      items.push(item);
      wake();
    },
    async first() {
      for (;;) {
        await until(() => items.length > 0);
        const item = items[0];
        if (item !== undefined) return item;
      }
    },
    shift() {
      items.shift();
      wake();
    },
    below: (limit) => until(() => items.length < limit),
    get size() {
      return items.length;
    },
  };
}
