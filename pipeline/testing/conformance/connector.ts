/** The exam that every connector passes. Its own test supplies a small provider; everything else is the same for all. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { z } from 'zod';
import type { RecordSchema } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';
import type { Connector, ConnectorDefinition, StoredRecord } from '../../rooms.ts';
import { type MemoryConnectorContext, memoryConnectorContext } from '../connector-context.ts';

/** A provider under the test's control, fresh for each test. */
export interface ConnectorExam<C extends z.ZodType, S extends RecordSchema = RecordSchema> {
  /** The least that a user has to write. */
  readonly config: z.input<C>;
  /** Where the good facts end up. */
  readonly topic: Topic<S>;
  /** Offers fact number `index` (0, 1, 2, ...); a webhook connector is found by `connector.status().url`. */
  sendGood(index: number, connector: Connector): Promise<void> | void;
  /** Whether a record of the topic carries that fact. */
  holds(record: StoredRecord<unknown>, index: number): boolean;
  /** Offers something malformed. Left out when the connector reads nothing of what it passes on. */
  sendBad?(connector: Connector): Promise<void> | void;
  /** Cuts every open connection; new ones are accepted. Left out when there are none. */
  disconnect?(): Promise<void> | void;
  close(): Promise<void> | void;
}

const SHUTDOWN_MS = 5_000;
const PATIENCE = { timeout: 10_000, interval: 5 };

/** Registers the exam. `setup` is called once for each test; the provider is closed after it. */
export function connectorConformance<C extends z.ZodType>(
  definition: ConnectorDefinition<C>,
  setup: () => Promise<ConnectorExam<C>>,
): void {
  describe(`${definition.name} as a connector`, () => {
    const cleanups: (() => Promise<void> | void)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    async function open() {
      const exam = await setup();
      cleanups.push(() => exam.close());
      const memory = memoryConnectorContext();
      const connector = definition.create(definition.config.parse(exam.config), memory.context);
      const count = (index: number) =>
        memory.records(exam.topic).filter((record) => exam.holds(record, index)).length;
      return {
        exam,
        memory,
        connector,
        start: () => start(connector),
        /** Waits until every fact below `end` is in the topic. */
        arrived: (end: number) =>
          vi.waitFor(() => {
            for (let index = 0; index < end; index += 1)
              expect(count(index), `fact ${index}`).toBeGreaterThan(0);
          }, PATIENCE),
      };
    }

    function start(connector: Connector) {
      const controller = new AbortController();
      const ended = connector.run(controller.signal);
      ended.catch(() => {});
      const stop = async () => {
        const abortedAt = performance.now();
        controller.abort();
        await ended;
        expect(performance.now() - abortedAt).toBeLessThan(SHUTDOWN_MS);
      };
      cleanups.push(() => controller.abort());
      return { ended, stop };
    }

    test('takes the least config and refuses unknown keys', async () => {
      const { exam } = await open();
      expect(definition.config.safeParse(exam.config).success).toBe(true);
      expect(definition.config.safeParse({ ...Object(exam.config), surplus: 1 }).success).toBe(false);
    });

    test('says where its records go', async () => {
      const { exam } = await open();
      expect(definition.outputs.map(({ name }) => name)).toContain(exam.topic.name);
    });

    test('passes its own check', async () => {
      const { connector } = await open();
      await connector.check(new AbortController().signal);
    });

    test('starts and stops twice', async () => {
      const { exam, connector, start: startIt, arrived } = await open();
      for (const round of [0, 1]) {
        const { stop } = startIt();
        await exam.sendGood(round, connector);
        await arrived(round + 1);
        await stop();
      }
    });

    test('stops while Kafka is behind', async () => {
      const { exam, connector, memory, start: startIt } = await open();
      memory.setWritable(false);
      const { stop } = startIt();
      const isIdle = () => connector.status().isIdle;
      if (!definition.isFinite) await vi.waitFor(() => expect(isIdle()).toBe(true), PATIENCE);
      // A webhook connector may hold its answer back until there is room: then it is not idle.
      const sent = Promise.resolve(exam.sendGood(0, connector)).catch(() => {});
      const isTaken = vi.waitFor(() => expect(isIdle()).toBe(false), PATIENCE).catch(() => {});
      await Promise.race([sent, isTaken]);
      await stop();
      memory.setWritable(true);
      await sent;
    });

    test('is idle once all it received is acknowledged', async () => {
      const { exam, connector, start: startIt, arrived } = await open();
      const { stop } = startIt();
      await exam.sendGood(0, connector);
      await arrived(1);
      await vi.waitFor(() => expect(connector.status().isIdle).toBe(true), PATIENCE);
      await stop();
    });

    test('counts its records', async () => {
      const { exam, connector, memory, start: startIt, arrived } = await open();
      const { stop } = startIt();
      await exam.sendGood(0, connector);
      await arrived(1);
      await stop();
      expect(await total(memory, 'connector_records_total', definition.name)).toBeGreaterThan(0);
    });

    test('loses nothing across a forced disconnect', async ({ skip }) => {
      const { exam, connector, start: startIt, arrived } = await open();
      if (exam.disconnect === undefined) return skip('it holds no connection');
      const { stop } = startIt();
      for (const index of [0, 1, 2]) await exam.sendGood(index, connector);
      await arrived(3);
      await exam.disconnect();
      for (const index of [3, 4, 5]) await exam.sendGood(index, connector);
      await arrived(6);
      await stop();
    });

    test('reports malformed input and goes on', async ({ skip }) => {
      const { exam, connector, memory, start: startIt, arrived } = await open();
      if (exam.sendBad === undefined) return skip('it passes everything on unread');
      const { stop } = startIt();
      await exam.sendGood(0, connector);
      await exam.sendBad(connector);
      await exam.sendGood(1, connector);
      await arrived(2);
      await vi.waitFor(async () => {
        expect(await total(memory, 'connector_refused_total', definition.name)).toBeGreaterThan(0);
      }, PATIENCE);
      await stop();
    });
  });
}

const total = (
  { context }: MemoryConnectorContext,
  name: 'connector_records_total' | 'connector_refused_total',
  connector: string,
): Promise<number> => context.metrics.total(name, { connector });
