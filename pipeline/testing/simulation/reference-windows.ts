/** The windows of the reference: no slices, no timers. */
import * as logic from './logic.ts';

/** By code units. */
export const compareText = (x: string, y: string): number => (x < y ? -1 : x > y ? 1 : 0);

/** The windows of `w`: every open window with what it holds, closed one after the other. */
export function createWindows(nowMs: () => number, write: (key: string, value: logic.Value) => void) {
  interface Open {
    readonly name: string;
    readonly startMs: number;
    readonly endMs: number;
    readonly key: string;
    total: logic.Total;
  }
  let open: Open[] = [];
  let streamMs = Number.NEGATIVE_INFINITY;
  const reachedMs = () =>
    Math.max(streamMs - logic.GRACE_MS, nowMs() - logic.GRACE_MS - logic.CLOSE_DELAY_MS);
  const close = (): void => {
    const closing = open.filter(({ endMs }) => endMs <= reachedMs());
    open = open.filter(({ endMs }) => endMs > reachedMs());
    closing.sort((x, y) => x.endMs - y.endMs || compareText(x.name, y.name) || compareText(x.key, y.key));
    for (const { name, startMs, key, total } of closing) write(key, logic.windowValue(name, startMs, total));
  };
  return {
    close,
    dueMs: () => Math.min(...open.map(({ endMs }) => endMs)) + logic.GRACE_MS + logic.CLOSE_DELAY_MS,
    add: ({ key, value }: { readonly key: string; readonly value: logic.Value }) => {
      streamMs = Math.max(streamMs, value.eventTimeMs);
      close();
      for (const [name, { sizeMs, advanceMs }] of Object.entries(logic.WINDOWS)) {
        const lastMs = Math.floor(value.eventTimeMs / advanceMs) * advanceMs;
        for (let startMs = lastMs; startMs > value.eventTimeMs - sizeMs; startMs -= advanceMs) {
          const endMs = startMs + sizeMs;
          if (endMs <= reachedMs()) continue;
          const known = open.find((one) => one.name === name && one.startMs === startMs && one.key === key);
          if (known !== undefined) known.total = logic.addToTotal(known.total, value);
          else open.push({ name, startMs, endMs, key, total: logic.addToTotal([0, 0], value) });
        }
      }
    },
  };
}
