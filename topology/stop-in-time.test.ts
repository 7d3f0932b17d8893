import { expect, test } from 'vitest';
import { systemClock } from '#pipeline/clock.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { stopInTime } from './stop-in-time.ts';

/** A client that ends what waits for it when it is closed. */
function waitingKafka() {
  const closed = Promise.withResolvers<void>();
  const events: string[] = [];
  const warned: string[] = [];
  const kafka = {
    close: async () => {
      events.push('closed');
      closed.resolve();
    },
  };
  const log = { ...silentLog, warn: (text: string) => void warned.push(text) };
  return { kafka, log, events, warned, closed: closed.promise };
}

test('what stops in time is followed by the client, and nothing is said', async () => {
  const { kafka, log, events, warned } = waitingKafka();
  const stop = async () => void events.push('stopped');
  await stopInTime({ kafka, log, clock: systemClock, stop });
  expect([events, warned]).toEqual([['stopped', 'closed'], []]);
});

test('what waits for Kafka for too long is ended by closing the client', async () => {
  const { kafka, log, events, warned, closed } = waitingKafka();
  const clock = {
    ...systemClock,
    sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(1, signal),
  };
  const stop = () => closed.then(() => void events.push('stopped'));
  await stopInTime({ kafka, log, clock, stop });
  expect(events.slice(0, 2)).toEqual(['closed', 'stopped']);
  expect(warned).toHaveLength(1);
});

test('the client is closed whatever happens', async () => {
  const { kafka, log, events } = waitingKafka();
  const stop = async () => {
    throw new Error('no');
  };
  await expect(stopInTime({ kafka, log, clock: systemClock, stop })).rejects.toThrow('no');
  expect(events).toEqual(['closed']);
});
