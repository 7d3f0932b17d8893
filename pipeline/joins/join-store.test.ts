import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StoreContext } from '#pipeline/processor.ts';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import type { CloseRule } from '#pipeline/windows/closing.ts';
import { type AnyPair, pairs } from './fixtures/open-join.ts';
import { joinWindow } from './join-window.ts';

interface Settings {
  readonly kind: 'inner' | 'left' | 'outer';
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly graceMs: number;
  readonly close: CloseRule;
  readonly retentionMs: number | null;
}

interface Known {
  readonly side: 'left' | 'right';
  readonly key: string;
  readonly timeMs: number;
  readonly id: string;
  readonly closeMs: number;
  readonly partners: Known[];
  isClosed: boolean;
}

/** Remembers every record for ever, and which pairs were made; nothing is worked out anew. */
function createModel(settings: Settings) {
  const { kind, beforeMs, afterMs, graceMs, close, retentionMs } = settings;
  const out: string[] = [];
  const counts = { late: 0, dropped: 0 };
  let known: Known[] = [];
  let [streamMs, logMs] = [Number.NEGATIVE_INFINITY, 0];
  const isKept = ({ side }: Known) => kind === 'outer' || (kind === 'left' && side === 'left');
  const progress = (): number => {
    if (close.by === 'event-time') return streamMs;
    const byLogMs = logMs - close.delayMs;
    return close.by === 'log-time' ? byLogMs : Math.max(streamMs, byLogMs);
  };
  const passOn = (one: Known, other: Known | null, mark = '') => {
    const [left, right] = one.side === 'left' ? [one, other] : [other, one];
    out.push(`${mark}${one.key} ${left?.timeMs}/${left?.id} ${right?.timeMs}/${right?.id}`);
  };
  const inOrder = (a: Known, b: Known) => a.timeMs - b.timeMs || known.indexOf(a) - known.indexOf(b);
  const close_ = () => {
    const closing = known.filter((record) => !record.isClosed && record.closeMs <= progress());
    const order = ({ side, key }: Known) => `${side} ${key}`;
    closing.sort(
      (a, b) => a.closeMs - b.closeMs || (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : inOrder(a, b)),
    );
    for (const record of closing) {
      record.isClosed = true;
      if (isKept(record) && record.partners.length === 0) passOn(record, null);
    }
  };
  const closeMsOf = (side: Known['side'], timeMs: number) =>
    timeMs + Math.max(0, side === 'left' ? afterMs : beforeMs) + graceMs + 1;
  return {
    out,
    counts,
    time: (what: 'stream' | 'log', ms: number) => {
      if (what === 'stream') streamMs = Math.max(streamMs, ms);
      else logMs = ms;
      close_();
    },
    take: (side: Known['side'], key: string, timeMs: number, id: string) => {
      const closeMs = closeMsOf(side, timeMs);
      if (closeMs <= progress()) {
        counts.late++;
        return;
      }
      const record: Known = { side, key, timeMs, id, closeMs, partners: [], isClosed: false };
      known.push(record);
      const partners = known.filter((other) => {
        const awayMs = side === 'left' ? other.timeMs - timeMs : timeMs - other.timeMs;
        const isNear = awayMs >= -beforeMs && awayMs <= afterMs;
        return other.side !== side && other.key === key && isNear && !other.isClosed;
      });
      for (const partner of partners.sort(inOrder)) {
        record.partners.push(partner);
        partner.partners.push(record);
        passOn(record, partner);
      }
    },
    remove: (side: Known['side'], key: string, timeMs: number, id: string) => {
      if (closeMsOf(side, timeMs) + (retentionMs ?? 0) <= progress()) {
        counts.late++;
        return;
      }
      const record = known.find(
        (other) => other.side === side && other.key === key && other.timeMs === timeMs && other.id === id,
      );
      if (record === undefined) {
        counts.dropped++;
        return;
      }
      if (record.partners.length === 0 && isKept(record) && record.isClosed) passOn(record, null, '-');
      for (const partner of record.partners.sort(inOrder)) {
        passOn(record, partner, '-');
        partner.partners.splice(partner.partners.indexOf(record), 1);
        if (partner.partners.length === 0 && isKept(partner) && partner.isClosed) passOn(partner, null);
      }
      known = known.filter((other) => other !== record);
    },
  };
}

/** Small, so that much meets: bounds, closings, and the letting go of what counts no more. */
const settings: fc.Arbitrary<Settings> = fc
  .record({
    kind: fc.constantFrom('inner', 'left', 'outer'),
    beforeMs: fc.integer({ min: -4, max: 12 }),
    reachMs: fc.nat(20),
    graceMs: fc.constantFrom(0, 0, 3),
    close: fc.oneof(
      fc.constant({ by: 'event-time' } as const),
      fc.record({ by: fc.constantFrom('log-time', 'either'), delayMs: fc.constantFrom(0, 5) }),
    ),
    retentionMs: fc.constantFrom(null, 0, 2, 30),
  })
  .map(({ reachMs, beforeMs, ...rest }) => ({ ...rest, beforeMs, afterMs: reachMs - beforeMs }));

const record = {
  side: fc.constantFrom('left', 'right'),
  key: fc.constantFrom('a', 'a', 'a', 'b'),
  lagMs: fc.oneof(fc.nat(2), fc.nat(20)),
  id: fc.constantFrom('', 'x'),
};
const forward = fc.oneof(fc.nat(2), fc.nat(2), fc.nat(25));
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ what: fc.constant('take'), ...record }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constant('remove'), nth: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('removeAny'), ...record }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('refused'), nth: fc.nat(12), ...record }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constant('time'), ms: forward }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constant('log'), ms: forward }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('restart') }) },
);

test('a join equals one that remembers everything, with restarts and refusals', () => {
  fc.assert(
    fc.property(settings, fc.array(step, { maxLength: 250, size: 'max' }), (settings, steps) => {
      const { retentionMs, ...rest } = settings;
      const store = createStoreHarness(
        joinWindow<string, string>({
          ...rest,
          ...(retentionMs === null ? {} : { retentionMs }),
          joined: ({ key, left, right, isRetraction }: AnyPair, context: StoreContext) => {
            expect([left?.value ?? 'none', right?.value ?? 'none']).toEqual([
              left?.id ?? 'none',
              right?.id ?? 'none',
            ]);
            const text = `${key} ${left?.timeMs}/${left?.id} ${right?.timeMs}/${right?.id}`;
            context.emit(pairs, key, isRetraction ? `-${text}` : text);
          },
        }),
      );
      const model = createModel(settings);
      const taken: { side: 'left' | 'right'; key: string; timeMs: number; id: string }[] = [];
      let [nowMs, logMs] = [0, 0];
      const take = ({ side, key, timeMs, id }: (typeof taken)[number]) =>
        store.handle[side](key, timeMs, id, id);
      const remove = ({ side, key, timeMs, id }: (typeof taken)[number]) =>
        side === 'left'
          ? store.handle.removeLeft(key, timeMs, id)
          : store.handle.removeRight(key, timeMs, id);
      for (const step of steps) {
        if (step.what === 'restart') {
          store.restart();
        } else if (step.what === 'time') {
          nowMs += step.ms;
          store.streamTime(nowMs);
          model.time('stream', nowMs);
        } else if (step.what === 'log') {
          logMs += step.ms;
          store.logTime(logMs);
          model.time('log', logMs);
        } else if (step.what === 'remove') {
          const chosen = taken.at(-1 - step.nth);
          if (chosen === undefined || retentionMs === null) continue;
          remove(chosen);
          model.remove(chosen.side, chosen.key, chosen.timeMs, chosen.id);
        } else {
          const { side, key, id } = step;
          const given = { side, key, timeMs: nowMs - step.lagMs, id };
          if (step.what === 'take') {
            store.streamTime(given.timeMs);
            model.time('stream', given.timeMs);
            take(given);
            model.take(side, key, given.timeMs, id);
            taken.push(given);
          } else if (step.what === 'refused') {
            const chosen = taken.at(-1 - step.nth) ?? given;
            store.refuse(() => {
              take(given);
              if (retentionMs !== null) remove(chosen);
            });
          } else if (retentionMs !== null) {
            remove(given);
            model.remove(side, key, given.timeMs, id);
          }
        }
      }
      store.streamTime(nowMs + 1_000);
      model.time('stream', nowMs + 1_000);
      store.logTime(logMs + 5_000);
      model.time('log', logMs + 5_000);
      expect(store.emitted.map(({ value }) => value)).toEqual(model.out);
      expect({ late: store.counted('late'), dropped: store.counted('dropped') }).toEqual(model.counts);
    }),
    { numRuns: 400 },
  );
});
