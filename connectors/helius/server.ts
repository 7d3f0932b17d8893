/** The HTTP side: who may post, how much, and what is answered. Bodies stay bytes. */
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { createAuthorizer } from './delivery.ts';

/** Slow senders: headers, then the whole request, have to arrive in this time. */
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const RETRY_AFTER_SECONDS = '5';

/** Why a request was refused; also the label of its counter. */
export type Refusal =
  | 'unauthorized'
  | 'encoding'
  | 'too-large'
  | 'overloaded'
  | 'kafka'
  | 'path'
  | 'method'
  | 'malformed';

const STATUS: Readonly<Record<Refusal, number>> = {
  unauthorized: 401,
  encoding: 415,
  'too-large': 413,
  overloaded: 503,
  kafka: 503,
  path: 404,
  method: 405,
  malformed: 400,
};

/**
 * A server that is not listening yet. `accept` is given the body of each authorised delivery; true answers 200, false
 * 503. `onRefused` is called once for each refused request.
 */
export function createServer(options: {
  path: string;
  authorization: string;
  maxBodyBytes: number;
  /** Bodies being received or waiting for Kafka, together. */
  maxInFlightBytes: number;
  accept: (body: Buffer) => Promise<boolean>;
  onRefused: (refusal: Refusal) => void;
}): FastifyInstance {
  const { path, maxBodyBytes, maxInFlightBytes, accept, onRefused } = options;
  const isAuthorized = createAuthorizer(options.authorization);
  let inFlightBytes = 0;

  const refuse = (reply: FastifyReply, refusal: Refusal): FastifyReply => {
    onRefused(refusal);
    // Nobody waits for the rest of a body that was refused unread.
    reply.code(STATUS[refusal]).header('connection', 'close');
    if (STATUS[refusal] === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
    if (refusal === 'method') reply.header('allow', 'POST');
    return reply.send();
  };

  /** Before the body is read: strangers cost no memory. */
  const admit = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    if (!isAuthorized(request.headers.authorization)) return refuse(reply, 'unauthorized');
    // A compressed body could unfold to any size, and the provider does not send any.
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') return refuse(reply, 'encoding');
    const announced = request.headers['content-length'];
    const bytes = announced === undefined ? maxBodyBytes : Number(announced);
    if (bytes > maxBodyBytes) return refuse(reply, 'too-large');
    if (inFlightBytes + bytes > maxInFlightBytes) return refuse(reply, 'overloaded');
    inFlightBytes += bytes;
    // `close` follows every end, also that of a client that went away.
    reply.raw.once('close', () => {
      inFlightBytes -= bytes;
    });
    return undefined;
  };

  const server = fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: 0,
    keepAliveTimeout: 60_000,
    exposeHeadRoutes: false,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      maxHeaderSize: 16 * 1024,
      connectionsCheckingInterval: 1_000,
    },
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  server.post(path, { onRequest: admit }, async (request, reply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    return (await accept(body)) ? reply.code(200).send() : refuse(reply, 'kafka');
  });
  server.setNotFoundHandler((request, reply) =>
    refuse(reply, request.url.split('?')[0] === path ? 'method' : 'path'),
  );
  server.setErrorHandler((error, _request, reply) => refuse(reply, refusalOf(error)));
  return server;
}

/** Errors of the framework carry the status that they would have answered. */
function refusalOf(error: unknown): Refusal {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : null;
  if (status === 413) return 'too-large';
  return typeof status === 'number' && status < 500 ? 'malformed' : 'kafka';
}
