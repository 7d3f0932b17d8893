/**
 * A TCP proxy that spoils connections on purpose. It knows who talks by the client id in the first request of the Kafka
 * protocol, so one process, or one broker among its peers, can be cut off from the others.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/**
 * - `refuse`: present connections are reset, and new ones as soon as they say who they are.
 * - `hold`: nothing passes, in either direction; when the rule goes, everything that was held arrives.
 * - `slow`: each piece of at most 64 KiB waits for `delayMs`.
 */
export type Spoiling =
  | { readonly mode: 'refuse' }
  | { readonly mode: 'hold' }
  | { readonly mode: 'slow'; readonly delayMs: number };

export type ClientFilter = (clientId: string) => boolean;

export interface SpoilingProxy {
  readonly port: number;
  /** Applies to present and new connections until the returned function is called. */
  spoil(filter: ClientFilter, spoiling: Spoiling): () => void;
  /** Resets present connections; returns how many. */
  reset(filter: ClientFilter): number;
  /** From now on what is sent over present connections vanishes, for ever; returns how many. New ones work. */
  lose(filter: ClientFilter): number;
  close(): Promise<void>;
}

interface Rule {
  readonly filter: ClientFilter;
  readonly spoiling: Spoiling;
}

interface Connection {
  /** Null until the first request is there. */
  clientId: string | null;
  isLost: boolean;
  readonly client: Socket;
  readonly server: Socket;
  /** Looks at the rules again. */
  review(): void;
}

/** Listens on a free port of loopback and passes on to `target`, also on loopback. */
export async function startProxy(target: number): Promise<SpoilingProxy> {
  const connections = new Set<Connection>();
  const rules = new Set<Rule>();
  const ruleFor = (clientId: string | null): Spoiling | null => {
    if (clientId === null) return null;
    // The last rule wins.
    return [...rules].findLast(({ filter }) => filter(clientId))?.spoiling ?? null;
  };
  const server = createServer((client) => {
    const connection = connect(client, target, (clientId) => ruleFor(clientId));
    connections.add(connection);
    client.once('close', () => connections.delete(connection));
  });
  const port = await listen(server);
  const matching = (filter: ClientFilter): readonly Connection[] =>
    [...connections].filter(({ clientId }) => clientId !== null && filter(clientId));
  const review = (): void => {
    for (const connection of [...connections]) connection.review();
  };
  return {
    port,
    spoil: (filter, spoiling) => {
      const rule = { filter, spoiling };
      rules.add(rule);
      review();
      return () => {
        rules.delete(rule);
        review();
      };
    },
    reset: (filter) => {
      const found = matching(filter);
      for (const { client, server: upstream } of found) {
        client.resetAndDestroy();
        upstream.resetAndDestroy();
      }
      return found.length;
    },
    lose: (filter) => {
      const found = matching(filter).filter(({ isLost }) => !isLost);
      for (const connection of found) {
        connection.isLost = true;
        connection.review();
      }
      return found.length;
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const { client, server: upstream } of connections) {
        client.destroy();
        upstream.destroy();
      }
      await closed;
    },
  };
}

const listen = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('not a TCP server'));
      else resolve(address.port);
    });
  });

/** Length, api key, version, correlation id, then the client id. */
const CLIENT_ID_AT = 14;

/** Null while it is not all there. A client without a name has an empty one. */
export function clientIdOf(bytes: Buffer): string | null {
  if (bytes.length < CLIENT_ID_AT) return null;
  const length = Math.max(0, bytes.readInt16BE(CLIENT_ID_AT - 2));
  return bytes.length < CLIENT_ID_AT + length
    ? null
    : bytes.toString('utf8', CLIENT_ID_AT, CLIENT_ID_AT + length);
}

function connect(
  client: Socket,
  target: number,
  ruleFor: (clientId: string | null) => Spoiling | null,
): Connection {
  const server = createConnection({ host: '127.0.0.1', port: target });
  client.setNoDelay(true);
  server.setNoDelay(true);
  let first = Buffer.alloc(0);
  const pumps = [createPump(client, server), createPump(server, client)] as const;
  const connection: Connection = {
    clientId: null,
    isLost: false,
    client,
    server,
    review: () => {
      const rule = connection.isLost ? 'lost' : ruleFor(connection.clientId);
      if (rule !== 'lost' && rule?.mode === 'refuse') {
        client.resetAndDestroy();
        server.resetAndDestroy();
        return;
      }
      for (const pump of pumps) pump.set(rule);
    },
  };
  client.on('data', (chunk: Buffer) => {
    if (connection.clientId === null) {
      first = Buffer.concat([first, chunk]);
      const clientId = clientIdOf(first);
      if (clientId === null) return;
      connection.clientId = clientId;
      connection.review();
      chunk = first;
    }
    pumps[0].take(chunk);
  });
  server.on('data', (chunk: Buffer) => pumps[1].take(chunk));
  // A broken side ends the other; a lost connection shows nothing to either.
  const end = (): void => {
    if (connection.isLost) return;
    client.destroy();
    server.destroy();
  };
  for (const socket of [client, server]) socket.on('error', end).on('close', end);
  client.once('close', () => server.destroy());
  return connection;
}

interface Pump {
  take(chunk: Buffer): void;
  set(rule: Spoiling | 'lost' | null): void;
}

/** Passes pieces on in order; what waits does so here, and the source is paused meanwhile. */
function createPump(from: Socket, to: Socket): Pump {
  const waiting: Buffer[] = [];
  let rule: Spoiling | 'lost' | null = null;
  /** A piece waits for its time or for room. */
  let isBusy = false;
  const modeNow = (): Spoiling['mode'] | 'lost' | null =>
    rule === null || rule === 'lost' ? rule : rule.mode;

  /** False when there is no room for more: goes on when there is. */
  const send = (chunk: Buffer): boolean => {
    if (to.destroyed || to.write(chunk)) return true;
    isBusy = true;
    to.once('drain', goOn);
    return false;
  };
  const delay = (chunk: Buffer, delayMs: number): void => {
    isBusy = true;
    setTimeout(() => {
      // Something else may hold meanwhile.
      if (modeNow() === 'hold') waiting.unshift(chunk);
      else if (modeNow() !== 'lost' && !send(chunk)) return;
      goOn();
    }, delayMs);
  };
  function goOn(): void {
    isBusy = false;
    next();
  }
  function next(): void {
    if (rule === 'lost') waiting.length = 0;
    while (!isBusy && modeNow() !== 'hold') {
      const chunk = waiting.shift();
      if (chunk === undefined) {
        from.resume();
        return;
      }
      if (rule !== null && rule !== 'lost' && rule.mode === 'slow') delay(chunk, rule.delayMs);
      else send(chunk);
    }
  }
  return {
    take: (chunk) => {
      waiting.push(chunk);
      from.pause();
      next();
    },
    set: (changed) => {
      rule = changed;
      next();
    },
  };
}
