/** Ports on loopback: chosen by the operating system, remembered, so that a restart is found where it was. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';

export const PORT_NAMES = ['kafka', 'kafkaController', 'registry', 'postgres'] as const;
export type PortName = (typeof PORT_NAMES)[number];
export type Ports = Readonly<Record<PortName, number>>;

/** The remembered port where it is still free, else a new one. Written to `<dataDir>/ports.json`. */
export async function choosePorts(dataDir: string): Promise<Ports> {
  const path = join(dataDir, 'ports.json');
  const remembered = readPorts(path);
  // All are held until all are chosen, so that none is given out twice.
  const held: Server[] = [];
  try {
    const take = async (name: PortName): Promise<number> => {
      const server = (await listen(remembered[name] ?? 0)) ?? (await listen(0));
      if (server === null) throw new Error('the operating system has no free port on 127.0.0.1');
      held.push(server);
      return portOf(server);
    };
    const ports: Ports = {
      kafka: await take('kafka'),
      kafkaController: await take('kafkaController'),
      registry: await take('registry'),
      postgres: await take('postgres'),
    };
    writeFileSync(`${path}.new`, JSON.stringify(ports) + '\n');
    renameSync(`${path}.new`, path);
    return ports;
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** So many ports that are free now. They may be taken before they are used: for tests, which say so then. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const held: Server[] = [];
  try {
    while (held.length < count) {
      const server = await listen(0);
      if (server === null) throw new Error('the operating system has no free port on 127.0.0.1');
      held.push(server);
    }
    return held.map(portOf);
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

function readPorts(path: string): Partial<Record<PortName, number>> {
  const ports: Partial<Record<PortName, number>> = {};
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const entries = new Map<string, unknown>(Object.entries(content ?? {}));
    for (const name of PORT_NAMES) {
      const port = entries.get(name);
      if (typeof port === 'number' && Number.isInteger(port) && port >= 1024 && port <= 65_535) {
        ports[name] = port;
      }
    }
  } catch {
    // First start, or a damaged file: new ports do no harm.
  }
  return ports;
}

/** Null when the port is in use. */
const listen = (port: number): Promise<Server | null> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  return address.port;
}
