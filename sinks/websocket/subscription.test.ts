import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SinkRecord } from '#pipeline/rooms.ts';
import { alerts } from '#schemas/topics.ts';
import { sampleAlert } from '../sample-records.ts';
import { encodeRecord } from './protocol.ts';
import { createSubscription } from './subscription.ts';

const record = (sequence: number, partition = 0, offset = sequence): SinkRecord => ({
  topic: alerts,
  partition,
  offset,
  key: 'k',
  value: sampleAlert(`${partition}:${sequence}`),
  logTimeMs: sequence,
  writer: 'alert-0',
  sequence,
});

test('each record arrives once and in order, however reading and live records interleave', async () => {
  const cases = fc.record({
    past: fc.nat(12),
    overlap: fc.nat(6),
    steps: fc.array(fc.constantFrom('live', 'turn'), { maxLength: 40 }),
    maxHeld: fc.integer({ min: 1, max: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ past, overlap, steps, maxHeld }) => {
      const log = Array.from({ length: past }, (_, index) => record(index + 1));
      const sent: string[] = [];
      const subscription = createSubscription({
        topic: alerts.name,
        filter: () => true,
        from: 'earliest',
        send: ({ rest }) => sent.push(JSON.parse(`{${rest}`).position),
        writable: () => Promise.resolve(),
        maxHeld,
      });
      const done = subscription.catchUp(async function* () {
        yield* log.slice();
      });
      // The live reader is a little behind the log: what it brings first is in the past already.
      let next = Math.max(1, past - overlap + 1);
      for (const step of steps) {
        if (step === 'turn') await Promise.resolve();
        else {
          const live = log[next - 1] ?? record(next);
          if (next > log.length) log.push(live);
          next += 1;
          subscription.live(live, () => encodeRecord(live));
        }
      }
      await done;
      expect(sent).toEqual(log.map(({ sequence }) => `alert-0:${sequence}`));
    }),
  );
});

test('a second copy of a record from the past is not sent', async () => {
  const sent: string[] = [];
  const subscription = createSubscription({
    topic: alerts.name,
    filter: () => true,
    from: 'earliest',
    send: ({ rest }) => sent.push(JSON.parse(`{${rest}`).position),
    writable: () => Promise.resolve(),
  });
  await subscription.catchUp(async function* () {
    yield record(1);
  });
  for (const live of [record(1, 0, 20), record(2, 0, 21)]) subscription.live(live, () => encodeRecord(live));
  expect(sent).toEqual(['alert-0:1', 'alert-0:2']);
});
