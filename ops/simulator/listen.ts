/** Opens and closes loopback servers. */
import type { Server } from 'node:http';
import type { WebSocketServer } from 'ws';
import { messageOf, PipelineError } from '#pipeline/errors.ts';

/** Listens on 127.0.0.1; returns the port. Throws SERVICE_FAILED, naming the port and who wanted it. */
export const listen = (server: Server, port: number, who: string): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new PipelineError(
          'SERVICE_FAILED',
          `simulator: ${who} needs port ${port} on 127.0.0.1: ${messageOf(error)}; free the port or choose another`,
          { facts: { port }, cause: error },
        ),
      ),
    );
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });

/** Cuts every connection and stops listening. */
export async function closeServer(server: Server, sockets: WebSocketServer): Promise<void> {
  for (const socket of sockets.clients) socket.terminate();
  sockets.close();
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
