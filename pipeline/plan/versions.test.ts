import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import type { CheckpointContents } from '#pipeline/runtime/checkpoint.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { createMemoryBackend } from '#pipeline/state/memory.ts';
import { type Plan, plan, UNSAID } from '#schemas/plan.ts';
import { contentsToBegin, crossCuts, firstResume, standingOf } from './beginning.ts';
import { decodeDecision, encodeDecision } from './decisions.ts';
import { fencesOf, versionsOf } from './versions.ts';

const topic = { name: 'plan', layer: 'plan', key: 'kind', schema: plan, partitions: 1 } as const;
const serde = localSerde([topic]);

const decision = (kind: Plan['kind'], epoch: number, more: Partial<Plan> = {}): Plan => ({
  ...UNSAID,
  kind,
  epoch,
  fingerprint: `v${epoch}`,
  atMs: 7,
  ...more,
});
const placed = (decisions: readonly Plan[]) =>
  decisions.map((one, offset) => ({ offset, logTimeMs: 100 * (offset + 1), decision: one }));

const described = (names: readonly string[]): string =>
  JSON.stringify({
    parts: {},
    topics: [],
    subTopologies: names.map((name) => ({ name, partitions: 1, processors: [] })),
  });
const versions = versionsOf(
  placed([
    decision('genesis', 1, { description: described(['old']) }),
    decision('cut', 2, { startOffsets: { 'raw/0': 9n, 'facts/0': 1n }, dropped: ['p.gone', 'q.timer'] }),
  ]),
);
const first = { fingerprint: 'v1', epoch: 1, startOffsets: new Map([['raw/0', 5]]), versions };
const second = { ...first, fingerprint: 'v2', epoch: 2 };

describe('the versions of a plan', () => {
  test('are the first genesis and the first cut to each next epoch', () => {
    const found = versionsOf(
      placed([
        decision('genesis', 1),
        decision('genesis', 1, { fingerprint: 'came later' }),
        decision('cut', 3),
        decision('cut', 2),
        decision('cut', 2, { fingerprint: 'came later' }),
        decision('cut', 3, { fingerprint: 'third' }),
      ]),
    );
    expect(found.map(({ epoch, fingerprint, cut }) => [epoch, fingerprint, cut?.offset])).toEqual([
      [1, 'v1', undefined],
      [2, 'v2', 3],
      [3, 'third', 5],
    ]);
  });

  test('say for which tasks a cut was forced, and from which fences on', () => {
    const found = versionsOf(
      placed([
        decision('genesis', 1),
        decision('force', 2, { tasks: ['too-early-0'] }),
        decision('cut', 2),
        decision('force', 2, { tasks: ['b-1', 'a-0'], fences: { 't/0/a-0': 7n, 't/0/b-1': 8n } }),
        // Somebody does it again, because the first did not come to its end.
        decision('force', 2, { tasks: ['b-1'], fences: { 't/0/b-1': 8n } }),
        decision('cut', 3),
        decision('force', 3, { tasks: ['a-0'], fences: { 't/0/a-0': 20n } }),
      ]),
    );
    expect(found.map(({ forced }) => forced)).toEqual([[], ['a-0', 'b-1'], ['a-0']]);
    expect(fencesOf(found)).toEqual(
      new Map([
        [
          't/0/a-0',
          [
            { epoch: 2, offset: 7 },
            { epoch: 3, offset: 20 },
          ],
        ],
        ['t/0/b-1', [{ epoch: 2, offset: 8 }]],
      ]),
    );
  });

  test('a decision that this version does not know is never passed over', () => {
    const codeOf = (bytes: Buffer): string | null => {
      try {
        decodeDecision(serde, topic, bytes, 'plan/0/1');
        return null;
      } catch (error) {
        return isPipelineError(error) ? error.code : null;
      }
    };
    expect(codeOf(encodeDecision(serde, topic, decision('unknown', 1)))).toBe('PLAN_UNREADABLE');
    expect(codeOf(Buffer.from('?'))).toBe('PLAN_UNREADABLE');
    expect(codeOf(encodeDecision(serde, topic, decision('cut', 2)))).toBeNull();
  });
});

describe('a task of a version', () => {
  const saved = (epoch: number, nextEpoch?: number) => ({
    epoch,
    ...(nextEpoch === undefined ? {} : { nextEpoch }),
  });

  test('goes on from its own state, and from that of the version before only at the cut', () => {
    expect(standingOf(saved(2), second, 'old')).toBe('ready');
    expect(standingOf(saved(1, 2), second, 'old')).toBe('ready');
    expect(standingOf(saved(1), second, 'old')).toBe('early');
    expect(standingOf(null, second, 'old')).toBe('early');
    expect(standingOf(saved(2), first, 'old')).toBe('over');
    expect(standingOf(saved(1, 2), first, 'old')).toBe('ready');
    expect(standingOf(saved(1, 2), { ...second, epoch: 3 }, 'old')).toBe('early');
  });

  test('that no version before had begins at the cut, having folded nothing', () => {
    expect(standingOf(null, second, 'new')).toBe('ready');
    expect(contentsToBegin(null, second, 'plan')).toMatchObject({
      step: 0,
      logTimeMs: 200,
      lastKey: { logTimeMs: 200, rank: 0, order: 1 },
      inputs: { 'plan/0': { offset: 2, maximumMs: 200 } },
    });
    expect(contentsToBegin(null, first, 'plan')).toBeNull();
    const contents = { step: 4 } as CheckpointContents;
    expect(contentsToBegin(contents, second, 'plan')).toBe(contents);
  });

  test('is not taken for new when a version before is not described', () => {
    const unknown = versions.map((version) => ({ ...version, description: null }));
    expect(standingOf(null, { ...second, versions: unknown }, 'new')).toBe('early');
  });

  test('reads new inputs as if they had come at the cut', () => {
    expect(firstResume('raw/0', 'raw', first)).toEqual({ offset: 5, maximumMs: 0, digest: 0 });
    expect(firstResume('raw/0', 'raw', second)).toEqual({ offset: 9, maximumMs: 200, digest: 0 });
    expect(firstResume('facts/0', 'fact', second)).toEqual({ offset: 1, maximumMs: 200, digest: 0 });
    expect(firstResume('plan/0', 'plan', second)).toEqual({ offset: 0, maximumMs: 0, digest: 0 });
  });

  test('loses what ended at the cuts that it crosses, timers too, and nothing else', async () => {
    const entries = new Map([
      ['p.gone\u001fa', '1'],
      ['p.gone2\u001fa', '2'],
      ['p.stays\u001fa', '3'],
      ['\u0003q\u001ftimer\u001flog\u001fa', '4'],
      ['\u0003q\u001fother\u001flog\u001fa', '5'],
      ['\u0001meta', '6'],
    ]);
    const backend = createMemoryBackend(entries);
    await crossCuts(backend, second, 2, 2);
    expect(entries.size).toBe(6);
    await crossCuts(backend, second, 1, 2);
    expect([...entries.values()].sort()).toEqual(['2', '3', '5', '6']);
  });
});
