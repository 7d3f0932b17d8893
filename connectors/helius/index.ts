/**
 * Helius: receives webhook deliveries (helius-labs/docs, webhooks) and answers 200 only when Kafka holds them, because
 * the provider repeats a delivery three times and then drops it. What was dropped is not fetched again.
 */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { untilAborted } from '#pipeline/clock.ts';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import { defineConnector } from '#pipeline/rooms.ts';
import { rawHelius } from '#schemas/topics.ts';
import { createIntake, type Intake } from './intake.ts';
import { createServer } from './server.ts';

/** Connections that are still open this long after a stop are cut. */
const CLOSE_PATIENCE_MS = 4_000;

const config = z
  .strictObject({
    host: z.string().min(1).default('127.0.0.1'),
    /** 0: any free port. */
    port: z.int().min(0).max(65_535).default(0),
    path: z
      .string()
      .regex(/^(\/[A-Za-z0-9._-]+)+$/, { error: 'expected a path of plain parts, such as /webhooks/helius' })
      .default('/webhooks/helius'),
    /** The `authHeader` of the webhook, exactly, with any prefix such as `Bearer `. Secret. */
    authorization: z.string().min(8),
    maxBodyBytes: z
      .int()
      .min(1)
      .default(8 * 1024 * 1024),
    maxInFlightBytes: z
      .int()
      .min(1)
      .default(64 * 1024 * 1024),
    /** Longest wait for Kafka before the delivery is answered with 503. */
    ackTimeoutMs: z.int().min(1).default(10_000),
  })
  .refine(({ maxBodyBytes, maxInFlightBytes }) => maxBodyBytes <= maxInFlightBytes, {
    path: ['maxInFlightBytes'],
    error: 'expected at least maxBodyBytes: a delivery of that size would never be taken',
  });

/** Listens for webhook deliveries until stopped. */
export default defineConnector({
  name: 'helius',
  summary: 'Receives Solana transactions that Helius posts to a webhook.',
  config,
  outputs: [rawHelius],
  isFinite: false,
  create(settings, context) {
    const { host, port, path } = settings;
    let intake: Intake | null = null;
    let url: string | null = null;
    return {
      async check() {
        const server = newServer(settings, { accept: async () => false, onRefused: () => {} });
        await listen(server, host, 0);
        await server.close();
      },
      async run(signal) {
        const current = createIntake({ context, ackTimeoutMs: settings.ackTimeoutMs, stopped: signal });
        const server = newServer(settings, {
          accept: (body) => current.accept(body),
          onRefused: (reason) =>
            context.metrics.add('connector_refused_total', { connector: 'helius', reason }),
        });
        intake = current;
        const bound = await listenNear(server, host, port);
        url = `http://${host.includes(':') ? `[${host}]` : host}:${bound}${path}`;
        if (port !== 0 && bound !== port) {
          context.log.warn('port in use; another one was taken', { wanted: port, port: bound, url });
        }
        context.log.info('listening for deliveries', { url });
        await untilAborted(signal);
        url = null;
        await closeWithin(server, () => context.clock.sleep(CLOSE_PATIENCE_MS));
        await current.settled();
      },
      status: () => ({
        isIdle: url !== null && intake !== null && intake.pendingCount === 0,
        detail:
          url === null
            ? 'not listening'
            : `listening; ${intake?.acceptedCount ?? 0} deliveries taken, ${intake?.pendingCount ?? 0} on their way`,
        ...(url === null ? {} : { url }),
      }),
    };
  },
});

const newServer = (
  { path, authorization, maxBodyBytes, maxInFlightBytes }: z.infer<typeof config>,
  handlers: Pick<Parameters<typeof createServer>[0], 'accept' | 'onRefused'>,
): FastifyInstance => createServer({ path, authorization, maxBodyBytes, maxInFlightBytes, ...handlers });

/** Listens on the port, or on any free one when it is in use. */
async function listenNear(server: FastifyInstance, host: string, port: number): Promise<number> {
  try {
    return await listen(server, host, port);
  } catch (error) {
    const cause = error instanceof PipelineError ? error.cause : null;
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE')) throw error;
    return listen(server, host, 0);
  }
}

async function listen(server: FastifyInstance, host: string, port: number): Promise<number> {
  try {
    await server.listen({ host, port });
  } catch (cause) {
    throw new PipelineError(
      'PROVIDER_REFUSED',
      `helius: expected to listen on ${host} port ${port}, found: ${messageOf(cause)}; correct connectors.helius.host and port`,
      { facts: { host, port }, cause },
    );
  }
  const address = server.server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

async function closeWithin(server: FastifyInstance, patience: () => Promise<void>): Promise<void> {
  const closed = server.close();
  await Promise.race([closed, patience().then(() => server.server.closeAllConnections())]);
  await closed;
}
