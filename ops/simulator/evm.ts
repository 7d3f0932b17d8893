/** An Ethereum node's JSON-RPC: HTTP and WebSocket on one port (execution-apis; `newHeads` as geth sends them). */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '#pipeline/clock.ts';
import { messageOf } from '#pipeline/errors.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { EvmChain } from './evm-chain.ts';
import { createHeads } from './evm-heads.ts';
import { answerCall, type RpcAnswer } from './evm-rpc.ts';
import { asObject, parseJson } from './lines.ts';
import { closeServer, listen } from './listen.ts';
import type { Progress, Speed } from './speed.ts';

const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
const MAX_BATCH = 1_000;

export interface EvmServer {
  readonly rpcUrl: string;
  readonly wsUrl: string;
  progress(): Progress;
  /** Blocks from the first to the highest announced one. */
  announcedCount(): number;
  /** Blocks are announced from now on, if they were held. */
  release(): void;
  close(): Promise<void>;
}

type Respond = (answer: RpcAnswer) => Buffer;
/** Answers a subscription call of a connection; null when it is no such call. */
type Subscriptions = (method: string, params: readonly unknown[]) => RpcAnswer | null;

/**
 * Starts the node of one chain on loopback; `port` 0 takes any free one. `isHeld`: no block is announced before
 * `release`. Throws SERVICE_FAILED when the port is taken.
 */
export async function startEvmServer(options: {
  chain: EvmChain;
  speed: Speed;
  isHeld?: boolean;
  port: number;
  log: Log;
  clock: Clock;
}): Promise<EvmServer> {
  const { chain, log } = options;
  const heads = createHeads(options);
  const stopped = new AbortController();

  const answerOne = (request: unknown, subscriptions: Subscriptions): Buffer => {
    const call = asObject(request);
    const id = call?.id;
    const envelope: Respond = (answer) =>
      encode(typeof id === 'number' || typeof id === 'string' ? id : null, answer);
    if (call === null || typeof call.method !== 'string')
      return envelope({ error: { code: -32600, message: 'invalid request' } });
    const params: readonly unknown[] = Array.isArray(call.params) ? call.params : [];
    try {
      return envelope(
        subscriptions(call.method, params) ?? answerCall(chain, heads, { method: call.method, params }),
      );
    } catch (error) {
      log.error('a JSON-RPC call failed inside the simulator', { method: call.method, error });
      return envelope({ error: { code: -32603, message: messageOf(error) } });
    }
  };
  const answer = (body: Buffer, subscriptions: Subscriptions): Buffer => {
    const parsed = parseJson(body);
    if (parsed === null) return encode(null, { error: { code: -32700, message: 'parse error' } });
    if (!Array.isArray(parsed.value)) return answerOne(parsed.value, subscriptions);
    if (parsed.value.length === 0 || parsed.value.length > MAX_BATCH)
      return encode(null, { error: { code: -32600, message: 'batch is empty or too large' } });
    const parts = parsed.value.map((request) => answerOne(request, subscriptions));
    return Buffer.from(`[${parts.map((part) => part.toString('utf8')).join(',')}]`);
  };

  const server = createServer((request, response) => {
    readBody(request).then(
      (body) => respond(response, body === null ? 413 : 200, body === null ? '' : answer(body, () => null)),
      (error: unknown) => log.debug('a JSON-RPC request was cut off', { error }),
    );
  });
  const sockets = new WebSocketServer({ server, maxPayload: MAX_REQUEST_BYTES });
  // The HTTP server's error comes here too; `listen` reports it.
  sockets.on('error', () => {});
  sockets.on('connection', (socket) => {
    const subscriptions = subscriptionsOf(socket, (send, signal) => {
      heads
        .announce(send, AbortSignal.any([signal, stopped.signal]))
        .catch((error: unknown) => log.error('announcing blocks failed', { error }));
    });
    socket.on('error', (error) => log.debug('a JSON-RPC connection failed', { error }));
    socket.on('message', (data) => {
      const body = Array.isArray(data)
        ? Buffer.concat(data)
        : Buffer.isBuffer(data)
          ? data
          : Buffer.from(data);
      socket.send(answer(body, subscriptions.answer), { binary: false });
      subscriptions.begin();
    });
    socket.on('close', subscriptions.end);
  });
  const port = await listen(server, options.port, 'the EVM node');
  return {
    rpcUrl: `http://127.0.0.1:${port}`,
    wsUrl: `ws://127.0.0.1:${port}`,
    progress: () => ({
      provider: 'evm',
      sent: heads.fetchedCount(),
      total: chain.total,
      isDone: heads.isDone(),
    }),
    announcedCount: () => (heads.latest() ?? -1) + 1,
    release: heads.release,
    close: async () => {
      stopped.abort();
      await closeServer(server, sockets);
    },
  };
}

function subscriptionsOf(
  socket: WebSocket,
  announce: (send: (head: { header: string }) => void, signal: AbortSignal) => void,
): { answer: Subscriptions; begin(): void; end(): void } {
  const active = new Map<string, AbortController>();
  let waiting: (() => void)[] = [];
  let count = 0;
  return {
    answer: (method, params) => {
      if (method === 'eth_subscribe') {
        if (params[0] !== 'newHeads')
          return { error: { code: -32602, message: 'only newHeads can be subscribed to here' } };
        count += 1;
        const id = `0x${count.toString(16).padStart(32, '0')}`;
        const controller = new AbortController();
        active.set(id, controller);
        const send = ({ header }: { header: string }) =>
          socket.send(
            `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"${id}","result":${header}}}`,
          );
        waiting.push(() => announce(send, controller.signal));
        return { result: `"${id}"` };
      }
      if (method === 'eth_unsubscribe') {
        const id = String(params[0]);
        active.get(id)?.abort();
        return active.delete(id)
          ? { result: 'true' }
          : { error: { code: -32000, message: 'subscription not found' } };
      }
      return null;
    },
    // The answer with the id goes out before the first head.
    begin: () => {
      const starts = waiting;
      waiting = [];
      for (const start of starts) start();
    },
    end: () => {
      for (const controller of active.values()) controller.abort();
      active.clear();
    },
  };
}

function encode(id: number | string | null, answer: RpcAnswer): Buffer {
  const head = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},`;
  if ('error' in answer) return Buffer.from(`${head}"error":${JSON.stringify(answer.error)}}`);
  const result = typeof answer.result === 'string' ? Buffer.from(answer.result) : answer.result;
  return Buffer.concat([Buffer.from(`${head}"result":`), result, Buffer.from('}')]);
}

/** The body of a request; null when it is too large. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    const bytes: Buffer = Buffer.isBuffer(part) ? part : Buffer.from(part);
    size += bytes.length;
    if (size > MAX_REQUEST_BYTES) return null;
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

function respond(response: ServerResponse, status: number, body: Buffer | string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body);
}
