import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import { type PutResult, type SameTime, versioned } from './versioned.ts';

interface ModelVersion {
  readonly timeMs: number;
  readonly tieBreak: string;
  readonly value: string | null;
}

/** All versions in one list, without any history beyond the horizon. */
function createModel(sameTime: SameTime, maxAgeMs: number) {
  const byKey = new Map<string, ModelVersion[]>();
  const isTied = sameTime === 'least' || sameTime === 'greatest';
  const holds = (a: ModelVersion, b: ModelVersion): number => {
    if (a.timeMs !== b.timeMs) return a.timeMs - b.timeMs;
    return (a.tieBreak < b.tieBreak ? -1 : 1) * (sameTime === 'least' ? -1 : 1);
  };
  /** Sorted, so that the last one at or before a time holds. */
  const versionsOf = (key: string, horizonMs: number): ModelVersion[] => {
    const all = (byKey.get(key) ?? []).sort(holds);
    const holdsFromMs = Math.max(...all.map(({ timeMs }) => timeMs).filter((timeMs) => timeMs <= horizonMs));
    const kept = all.filter(({ timeMs }) => timeMs >= holdsFromMs);
    const last = kept.at(-1);
    const isGone = last !== undefined && last.value === null && last.timeMs <= horizonMs;
    byKey.set(key, isGone ? [] : kept);
    return byKey.get(key) ?? [];
  };
  const shown = (version: ModelVersion | undefined) =>
    version === undefined || version.value === null ? undefined : [version.timeMs, version.value];
  return {
    put: (key: string, given: ModelVersion, horizonMs: number): PutResult => {
      const version = { ...given, tieBreak: isTied ? given.tieBreak : '' };
      const versions = versionsOf(key, horizonMs);
      if (versions.some(({ timeMs }) => timeMs > version.timeMs && timeMs <= horizonMs)) return 'late';
      const same = versions.findIndex(
        ({ timeMs, tieBreak }) => timeMs === version.timeMs && tieBreak === version.tieBreak,
      );
      if (same >= 0 && sameTime !== 'last') return 'known';
      versions.splice(same >= 0 ? same : versions.length, same >= 0 ? 1 : 0, version);
      return 'kept';
    },
    remove: (key: string, timeMs: number, tieBreak: string, horizonMs: number): boolean => {
      const versions = versionsOf(key, horizonMs);
      const at = versions.findIndex(
        (version) => version.timeMs === timeMs && version.tieBreak === (isTied ? tieBreak : ''),
      );
      if (at >= 0) versions.splice(at, 1);
      return at >= 0;
    },
    asOf: (key: string, timeMs: number, horizonMs: number) => {
      const found = versionsOf(key, horizonMs)
        .filter((version) => version.timeMs <= timeMs)
        .at(-1);
      return found !== undefined && timeMs - found.timeMs > maxAgeMs ? undefined : shown(found);
    },
    latest: (key: string, horizonMs: number) => shown(versionsOf(key, horizonMs).at(-1)),
  };
}

/** Times are multiples of it, so that they meet. */
const STEP_MS = 3;
const key = fc.constantFrom('a', 'b');
const lag = fc.oneof(fc.nat(13), fc.nat(130), fc.nat(1_000)).map((steps) => steps * STEP_MS);
const tieBreak = fc.constantFrom('', 'x', 'y');
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      what: fc.constantFrom('put' as const, 'put' as const, 'refused' as const),
      key,
      lag,
      tieBreak,
      value: fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom('u', 'v') },
        { weight: 1, arbitrary: fc.constant(null) },
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constantFrom('remove' as const, 'asOf' as const, 'latest' as const),
      key,
      lag,
      tieBreak,
    }),
  },
  {
    // Many at once, so that blocks are divided, emptied and joined.
    weight: 2,
    arbitrary: fc.record({
      what: fc.constantFrom('putRun' as const, 'removeRun' as const),
      key,
      lag,
      length: fc.integer({ min: 30, max: 150 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('time' as const), steps: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('restart' as const) }) },
);

test.each<SameTime>(['first', 'last', 'least', 'greatest'])(
  'equals a list of all versions, with the rule %s, restarts and refusals',
  (sameTime) => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 150, size: 'max' }),
        fc.constantFrom(120, 900, 100_000),
        fc.constantFrom(50, Number.POSITIVE_INFINITY),
        (steps, retentionMs, maxAgeMs) => {
          const limit = Number.isFinite(maxAgeMs) ? { maxAgeMs } : {};
          const store = createStoreHarness(versioned<string>({ retentionMs, sameTime, ...limit }));
          const model = createModel(sameTime, maxAgeMs);
          let nowMs = 0;
          for (const step of steps) {
            const horizonMs = nowMs - retentionMs;
            const { handle } = store;
            if (step.what === 'time') {
              nowMs += step.steps * STEP_MS;
              store.logTime(nowMs);
              continue;
            }
            if (step.what === 'restart') {
              store.restart();
              continue;
            }
            const { key } = step;
            const timeMs = nowMs - step.lag;
            if ('length' in step) {
              for (let at = 0; at < step.length; at++) {
                const atMs = timeMs + at * STEP_MS;
                if (step.what === 'putRun') {
                  handle.put(key, atMs, 'r');
                  model.put(key, { timeMs: atMs, tieBreak: '', value: 'r' }, horizonMs);
                } else {
                  handle.remove(key, atMs);
                  model.remove(key, atMs, '', horizonMs);
                }
              }
              continue;
            }
            const { tieBreak } = step;
            if (step.what === 'put') {
              const expected = model.put(key, { timeMs, tieBreak, value: step.value }, horizonMs);
              expect(handle.put(key, timeMs, step.value, tieBreak)).toBe(expected);
            } else if (step.what === 'refused') {
              store.refuse(() => {
                handle.put(key, timeMs, step.value, tieBreak);
                handle.remove(key, timeMs - STEP_MS, tieBreak);
              });
            } else if (step.what === 'remove') {
              const expected = model.remove(key, timeMs, tieBreak, horizonMs);
              expect(handle.remove(key, timeMs, tieBreak)).toBe(expected);
            } else {
              const isLatest = step.what === 'latest';
              const found = isLatest ? handle.latest(key) : handle.asOf(key, timeMs);
              const expected = isLatest ? model.latest(key, horizonMs) : model.asOf(key, timeMs, horizonMs);
              expect(found && [found.timeMs, found.value]).toEqual(expected);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  },
);
