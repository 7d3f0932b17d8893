/** The door for operators: metrics, status and a look into the stores, over HTTP, on loopback unless said otherwise. */
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';
import type { FoundStore, ViewedKey, ViewedRange } from '#pipeline/runtime/state-view.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import type { Status } from './status.ts';

/** Keys of state that come in a path. */
const MAX_KEY_CHARS = 8 * 1024;
const MAX_HEADER_BYTES = 32 * 1024;
export const DEFAULT_LIMIT = 100;
export const MAX_LIMIT = 10_000;

/** What the stores answer; see `pipeline/runtime/state-view.ts`. */
export interface StateReader {
  /** Throws CONFIG_INVALID when there is no such store. */
  find(name: string): FoundStore;
  lookUp(found: FoundStore, key: string): Promise<readonly ViewedKey[]>;
  list(found: FoundStore, range: { readonly from: string; readonly limit: number }): Promise<ViewedRange>;
}

/** Answer of `GET /state/:processor/:store/:key`. */
export interface KeyAnswer {
  readonly store: string;
  readonly kind: string;
  readonly key: string;
  /** By task; a key is in one of them, or in each for a table that all read whole. */
  readonly found: readonly ViewedKey[];
}

/** Answer of `GET /state/:processor/:store`. */
export interface RangeAnswer extends ViewedRange {
  readonly store: string;
  readonly kind: string;
}

export interface AdminOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly metrics: Metrics;
  readonly log: Log;
  status(): Status;
  /** Null until tasks run. */
  state(): StateReader | null;
}

export interface AdminServer {
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Resolves when it listens. Another free port is taken when the wished one is in use. Throws SERVICE_FAILED. */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { host, metrics } = options;
  const server = fastify({
    logger: false,
    exposeHeadRoutes: false,
    bodyLimit: 1_024,
    requestTimeout: 30_000,
    routerOptions: { maxParamLength: MAX_KEY_CHARS },
    http: { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: 5_000 },
    // What is open must not hold up the end of the process.
    forceCloseConnections: true,
  });
  server.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    if (isFromOutside(host, request.hostname))
      return reply.code(403).send({ error: 'expected the address of this server as host' });
    return undefined;
  });
  server.get('/', async () => ({
    paths: ['/metrics', '/status', '/state/:processor/:store?from=&limit=', '/state/:processor/:store/:key'],
  }));
  server.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(await metrics.render()),
  );
  server.get('/status', async () => options.status());
  server.get('/state/:processor/:store', async (request) => listed(options, request));
  server.get('/state/:processor/:store/:key', async (request) => lookedUp(options, request));
  server.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ error: 'expected GET of one of the paths that / lists' }),
  );
  server.setErrorHandler((error, _request, reply) => refuse(reply, error, options.log));

  const port = await listen(server, options);
  const shownHost = host.includes(':') ? `[${host}]` : host;
  return { url: `http://${shownHost}:${port}`, close: () => server.close() };
}

const LOOPBACK: readonly string[] = ['127.0.0.1', 'localhost', '[::1]', '::1'];

/** A page in a browser can name this address by a host name of its own; what it then reads is not meant for it. */
const isFromOutside = (host: string, asked: string): boolean =>
  LOOPBACK.includes(host) && !LOOPBACK.includes(asked);

async function lookedUp(options: AdminOptions, request: FastifyRequest): Promise<KeyAnswer> {
  const { reader, found, name } = storeOf(options, request);
  const key = textOf(request.params, 'key') ?? '';
  const { kind } = found.declaration;
  return { store: name, kind, key, found: await reader.lookUp(found, key) };
}

async function listed(options: AdminOptions, request: FastifyRequest): Promise<RangeAnswer> {
  const { reader, found, name } = storeOf(options, request);
  const from = textOf(request.query, 'from') ?? '';
  const limit = limitOf(textOf(request.query, 'limit'));
  const { kind } = found.declaration;
  return { store: name, kind, ...(await reader.list(found, { from, limit })) };
}

function storeOf(options: AdminOptions, { params }: FastifyRequest) {
  const reader = options.state();
  if (reader === null) {
    throw new PipelineError(
      'SERVICE_UNREACHABLE',
      'the tasks are not open yet: ask again when /status says running',
    );
  }
  const name = `${textOf(params, 'processor')}.${textOf(params, 'store')}`;
  return { reader, name, found: reader.find(name) };
}

function textOf(values: unknown, name: string): string | null {
  if (typeof values !== 'object' || values === null || !Object.hasOwn(values, name)) return null;
  const value: unknown = Reflect.get(values, name);
  return typeof value === 'string' ? value : null;
}

function limitOf(text: string | null): number {
  if (text === null) return DEFAULT_LIMIT;
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new PipelineError(
    'CONFIG_INVALID',
    `expected a limit from 1 to ${MAX_LIMIT}, found ${JSON.stringify(text.slice(0, 20))}; page with from`,
  );
}

function refuse(reply: FastifyReply, error: unknown, log: Log): FastifyReply {
  const code = isPipelineError(error) ? error.code : null;
  const status = code === 'CONFIG_INVALID' ? 400 : code === 'SERVICE_UNREACHABLE' ? 503 : statusIn(error);
  if (status === 500) log.warn('a request of an operator failed', { error });
  return reply.code(status).send({ error: messageOf(error), code });
}

/** Errors of the framework carry the status that they would have answered. */
function statusIn(error: unknown): number {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : null;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}

type Server = ReturnType<typeof fastify>;

async function listen(server: Server, { host, port, log }: AdminOptions): Promise<number> {
  const bound = async (wanted: number): Promise<number> => {
    await server.listen({ host, port: wanted });
    const address = server.server.address();
    return typeof address === 'object' && address !== null ? address.port : wanted;
  };
  try {
    return await bound(port).catch(async (error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') || port === 0)
        throw error;
      const taken = await bound(0);
      log.warn('the admin port is in use, another one was taken', { host, wanted: port, port: taken });
      return taken;
    });
  } catch (cause) {
    throw new PipelineError(
      'SERVICE_FAILED',
      `expected to listen on ${host} port ${port}, found: ${messageOf(cause)}; correct --admin-host and --admin-port`,
      { facts: { host, port }, cause },
    );
  }
}
