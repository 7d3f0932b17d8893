/** Small clients of the simulator for its tests. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { systemClock } from '#pipeline/clock.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from './simulator.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterAll(() => Promise.all(cleanups.map((cleanup) => cleanup())));

/** Starts a simulator that is closed after the tests of the file; a seeded world without pauses unless told otherwise. */
export async function start(options: Partial<SimulatorOptions>): Promise<Simulator> {
  const defaults = {
    recordings: null,
    seed: 1,
    speed: 'max',
    log: silentLog,
    clock: systemClock,
    helius: null,
  } as const;
  const simulator = await startSimulator({ ...defaults, ...options });
  cleanups.push(simulator.close);
  return simulator;
}

/** Waits for a condition; throws after 15 s. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never came true: ${condition}`);
    await systemClock.sleep(5);
  }
}

const Answer = z.looseObject({
  result: z.unknown().optional(),
  error: z.looseObject({ code: z.number() }).optional(),
});
/** One JSON-RPC call over HTTP. */
export async function rpc(simulator: Simulator, method: string, ...params: unknown[]) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const response = await fetch(simulator.urls.evmRpc, { method: 'POST', body });
  return Answer.parse(await response.json());
}
const Transaction = z.looseObject({ hash: z.string(), value: z.string() });
/** A block with full transactions. */
export const Block = z.looseObject({
  number: z.string(),
  hash: z.string(),
  parentHash: z.string().optional(),
  transactions: z.array(Transaction),
});
/** A `newHeads` notification. */
export const Head = z.object({
  params: z.object({ result: z.looseObject({ number: z.string(), hash: z.string() }) }),
});

/** Subscribes to heads and fetches each block by hash, until the server has nothing more. */
export async function followChain(
  simulator: Simulator,
  each: (block: z.infer<typeof Block>) => void,
): Promise<number[]> {
  const numbers: number[] = [];
  const work: Promise<void>[] = [];
  const socket = new WebSocket(simulator.urls.evmWs);
  socket.on('open', () =>
    socket.send('{"jsonrpc":"2.0","id":7,"method":"eth_subscribe","params":["newHeads"]}'),
  );
  socket.on('message', (text) => {
    const head = Head.safeParse(JSON.parse(String(text)));
    if (!head.success) return;
    expect(head.data.params.result).not.toHaveProperty('transactions');
    numbers.push(Number(head.data.params.result.number));
    work.push(
      rpc(simulator, 'eth_getBlockByHash', head.data.params.result.hash, true).then(({ result }) =>
        each(Block.parse(result)),
      ),
    );
  });
  await until(() => simulator.progress()[0]!.isDone);
  await Promise.all(work);
  socket.terminate();
  return numbers;
}

/** A client of one category: keeps what arrives. */
export async function exchange(simulator: Simulator, category: string) {
  const frames: Record<string, unknown>[] = [];
  const socket = new WebSocket(`${simulator.urls.bybit}/${category}`);
  cleanups.push(async () => socket.terminate());
  socket.on('message', (text) =>
    frames.push(z.record(z.string(), z.unknown()).parse(JSON.parse(String(text)))),
  );
  await new Promise((resolve) => socket.once('open', resolve));
  const send = (op: string, args?: readonly string[]) =>
    socket.send(JSON.stringify({ op, ...(args ? { args } : {}) }));
  return { frames, send, of: (topic: string) => frames.filter((frame) => frame.topic === topic) };
}

/** A webhook receiver that fails the first delivery. */
export async function receiver() {
  const received: { authorization: string | undefined; body: unknown[] }[] = [];
  let refused = 0;
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += String(part);
    if (refused++ === 0) response.writeHead(503).end();
    else {
      received.push({
        authorization: request.headers.authorization,
        body: z.array(z.unknown()).parse(JSON.parse(text)),
      });
      response.end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(async () => server.closeAllConnections() ?? server.close());
  const address = z.object({ port: z.number() }).parse(server.address());
  return { received, url: `http://127.0.0.1:${address.port}/hook` };
}

/** A temporary folder with these files, removed after the tests. */
export async function folder(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'baleen-recordings-'));
  cleanups.push(() => rm(path, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
  return path;
}
