import { expect, test } from 'vitest';
import { z } from 'zod';
import { systemClock, untilAborted } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { Kafka, Placement, Producer } from '#pipeline/kafka/types.ts';
import type { ConnectorDefinition } from '#pipeline/rooms.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { rawEvm } from '#schemas/topics.ts';
import { startConnecting } from './connecting.ts';

const no = (): never => {
  throw new Error('not here');
};

/** A producer that takes everything, or nothing until it is closed. */
function producerOf(takes: boolean, closed: string[]): Producer {
  const waiting: ((error: Error) => void)[] = [];
  return {
    append: no,
    acknowledged: no,
    send: () =>
      takes
        ? Promise.resolve({ offset: 0, appendTimeMs: 0 })
        : new Promise<Placement>((_, reject) => waiting.push(reject)),
    pendingBytes: 0,
    isHeldUp: no,
    writable: async () => {},
    close: async (signal) => {
      closed.push(signal?.aborted === true ? 'at once' : 'in order');
      for (const reject of waiting) reject(new PipelineError('KAFKA_UNAVAILABLE', 'closed'));
    },
  };
}

/** Emits one record, and ends when it is acknowledged and it is to stop. */
const connector = (name: string): ConnectorDefinition => ({
  ...{ name, summary: '', config: z.unknown(), isFinite: false },
  outputs: [rawEvm],
  create: (_, { emit }) => ({
    check: async () => {},
    run: async (signal) => {
      const body = Buffer.from('{}');
      const written = emit(rawEvm, 'key', { source: 'evm:1', kind: 'block', receivedAtMs: 1, body });
      written.catch(() => {});
      await untilAborted(signal);
      await written;
    },
    status: no,
  }),
});

function start(...takes: readonly boolean[]) {
  const closed: string[] = [];
  const warned: string[] = [];
  const left = [...takes];
  const kafka: Kafka = {
    producer: () => producerOf(left.shift() ?? false, closed),
    fetcher: no,
    admin: no,
    join: no,
    close: no,
  };
  const connecting = startConnecting({
    rooms: takes.map((_, index) => ({ definition: connector(`room-${index}`), config: {} })),
    kafka,
    serde: localSerde([rawEvm]),
    clock: { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(20, signal) },
    log: { ...silentLog, for: () => silentLog, warn: (text) => void warned.push(text) },
    metrics: createMetrics(),
    physicalName: (topic) => topic,
  });
  return { connecting, closed, warned };
}

test('stopping waits for what Kafka takes', async () => {
  const { connecting, closed, warned } = start(true, true);
  await connecting.started;
  await connecting.stop();
  expect([closed, warned]).toEqual([['in order', 'in order'], []]);
});

test('stopping gives up what Kafka does not take, says so, and is no failure', async () => {
  const { connecting, closed, warned } = start(true, false);
  await connecting.started;
  let failure: Error | null = null;
  void connecting.failed.then((error) => {
    failure = error;
  });
  await connecting.stop();
  expect(closed).toEqual(['at once', 'at once']);
  expect(warned).toHaveLength(1);
  expect(failure).toBeNull();
});
