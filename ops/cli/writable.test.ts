import { expect, test } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { Entry, Kafka } from '#pipeline/kafka/types.ts';
import { isTick } from '#pipeline/merge/position.ts';
import { writableOf } from './writable.ts';

/** Partitions of odd numbers take nothing, until the producer is closed. */
function halfKafka(refusal: PipelineError | null = null) {
  const sent: (readonly [string, number, Entry])[] = [];
  let open = 0;
  const producer: Kafka['producer'] = () => {
    open += 1;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    const send = async (topic: string, partition: number, entry: Entry) => {
      if (refusal !== null) throw refusal;
      if (partition % 2 === 1) return promise;
      sent.push([topic, partition, entry]);
      return { offset: 0, appendTimeMs: 1 };
    };
    const close = async () => {
      open -= 1;
      reject(new PipelineError('KAFKA_UNAVAILABLE', 'closed'));
    };
    return { ...unused, send, close };
  };
  return { sent, openProducers: () => open, plan: { kafka: { ...noKafka, producer }, physicalName } };
}
const no = (): never => {
  throw new Error('not here');
};
const noKafka: Kafka = { producer: no, fetcher: no, admin: no, join: no, close: no };
const unused = { append: no, acknowledged: no, pendingBytes: 0, isHeldUp: no, writable: no };
const physicalName = (topic: string) => `test.${topic}`;
const soon = { ...systemClock, sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(1, signal) };

test('a partition is writable when it takes a tick; one that takes nothing holds up no other', async () => {
  const { sent, openProducers, plan } = halfKafka();
  expect(await writableOf(plan, ['raw.a.v1/1', 'raw.a.v1/2', 'detect-2'], soon)).toEqual(['raw.a.v1/2']);
  expect(sent.map(([topic, partition, { headers }]) => [topic, partition, isTick(headers)])).toEqual([
    ['test.raw.a.v1', 2, true],
  ]);
  expect(openProducers()).toBe(0);
});

test('an error that does not pass is no proof that nobody can write', async () => {
  const { openProducers, plan } = halfKafka(new PipelineError('KAFKA_REFUSED', 'no right to write'));
  await expect(writableOf(plan, ['raw.a.v1/1'], soon)).rejects.toMatchObject({ code: 'KAFKA_REFUSED' });
  expect(openProducers()).toBe(0);
});
