/** Requests of a connection that wait for their answer. Pure. */

export interface Request {
  readonly op: 'subscribe' | 'unsubscribe';
  readonly topics: readonly string[];
  readonly sentAtMs: number;
}

export interface Requests {
  /** Notes a request and returns its id, unique on the connection. */
  open(request: Request): string;
  /** Takes out the request of an answer: by id, or the oldest of its kind when the answer carries no known id. */
  answer(id: string | null, op: Request['op']): Request | null;
  isEmpty(): boolean;
  /** When the oldest was sent; null when none waits. */
  oldestMs(): number | null;
  /** The waiting of all starts again now. */
  restart(nowMs: number): void;
}

/** A table without requests. */
export function createRequests(): Requests {
  const waiting = new Map<string, Request>();
  let count = 0;
  return {
    open(request) {
      count += 1;
      waiting.set(String(count), request);
      return String(count);
    },
    answer(id, op) {
      const known = id !== null && waiting.has(id) ? id : null;
      // Answers come in the order of the requests.
      const found = known ?? [...waiting].find(([, request]) => request.op === op)?.[0];
      if (found === undefined) return null;
      const request = waiting.get(found) ?? null;
      waiting.delete(found);
      return request;
    },
    isEmpty: () => waiting.size === 0,
    oldestMs: () => waiting.values().next().value?.sentAtMs ?? null,
    restart(nowMs) {
      for (const [id, request] of waiting) waiting.set(id, { ...request, sentAtMs: nowMs });
    },
  };
}
