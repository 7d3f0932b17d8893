/** Whether a service answers in its own protocol. Each check throws until it does. */
import { connect } from 'node:net';
import pg from 'pg';

const API_VERSIONS = 18;
const METADATA = 3;
const MAX_ANSWER_BYTES = 1_048_576;

/**
 * Asks for the supported versions, then for the brokers: a starting broker answers the first question a moment
 * before it is let into the cluster. Plain connections only.
 */
export async function checkKafka(broker: string, signal: AbortSignal): Promise<void> {
  const { host, port } = parseBroker(broker);
  const versions = await ask(host, port, kafkaRequest(API_VERSIONS, 0, Buffer.alloc(0)), signal);
  const code = versions.readInt16BE(4);
  if (code !== 0) throw new Error(`ApiVersions answered error ${code}`);
  // Metadata v1 with an empty list of topics: brokers only. Answer: correlation id, count of brokers.
  const metadata = await ask(host, port, kafkaRequest(METADATA, 1, Buffer.alloc(4)), signal);
  if (metadata.readInt32BE(4) < 1) throw new Error('no broker in the cluster yet');
}

/** `host:port`; the port is 9092 when left out. IPv6 hosts are in brackets. */
export function parseBroker(broker: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+))(?::(\d{1,5}))?$/.exec(broker.trim());
  const host = match?.[1] ?? match?.[2];
  if (host === undefined)
    throw new Error(`expected host:port, found ${JSON.stringify(broker.slice(0, 100))}`);
  return { host, port: Number(match?.[3] ?? 9092) };
}

const CORRELATION_ID = 7;

/** Size, key, version, correlation id, client id (null), body. */
export function kafkaRequest(key: number, version: number, body: Buffer): Buffer {
  const head = Buffer.alloc(14);
  head.writeInt32BE(10 + body.length, 0);
  head.writeInt16BE(key, 4);
  head.writeInt16BE(version, 6);
  head.writeInt32BE(CORRELATION_ID, 8);
  head.writeInt16BE(-1, 12);
  return Buffer.concat([head, body]);
}

/** One request on one connection; resolves to the answer after its size field. */
const ask = (host: string, port: number, request: Buffer, signal: AbortSignal): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    let received = Buffer.alloc(0);
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.once('connect', () => socket.write(request));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, typeof chunk === 'string' ? Buffer.from(chunk) : chunk]);
      if (received.length < 4) return;
      const size = received.readInt32BE(0);
      if (size < 8 || size > MAX_ANSWER_BYTES) return fail(new Error('that is not a Kafka broker'));
      if (received.length < 4 + size) return;
      const answer = received.subarray(4, 4 + size);
      if (answer.readInt32BE(0) !== CORRELATION_ID) return fail(new Error('that is not a Kafka broker'));
      socket.destroy();
      resolve(answer);
    });
    socket.once('error', fail);
    socket.once('close', () => reject(new Error('the connection was closed')));
  });

/** `GET <url>/subjects` must answer 200. A user and password in the address go into a header. */
export async function checkRegistry(registryUrl: string, signal: AbortSignal): Promise<void> {
  const url = new URL(`${registryUrl.replace(/\/+$/, '')}/subjects`);
  const headers: Record<string, string> = {};
  if (url.username !== '') {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers['authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`;
    url.username = '';
    url.password = '';
  }
  const response = await fetch(url, { headers, signal });
  await response.body?.cancel();
  if (response.status !== 200) throw new Error(`GET /subjects answered ${response.status}`);
}

/** `select 1` must answer. */
export async function checkPostgres(databaseUrl: string, signal: AbortSignal): Promise<void> {
  await withDatabase(databaseUrl, signal, (client) => client.query('select 1'));
}

/** Connects, works, disconnects; gives up when the signal aborts. */
export async function withDatabase<T>(
  databaseUrl: string,
  signal: AbortSignal,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 });
  // A connection cut between two calls is reported by the next call; without a listener it would end the process.
  client.on('error', () => {});
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
  });
  const worked = (async () => {
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  })();
  try {
    return await Promise.race([worked, aborted]);
  } finally {
    if (abort !== undefined) signal.removeEventListener('abort', abort);
    if (signal.aborted) {
      worked.catch(() => {});
      client.end().catch(() => {});
    }
  }
}
