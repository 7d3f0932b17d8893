/** What a node sends, checked at the door. Execution APIs: eth_subscribe "newHeads", quantities as 0x hex. */
import { z } from 'zod';

/** 13 hex digits at most: such a number is exact in JavaScript. */
export const quantity = z
  .string()
  .regex(/^0x[0-9a-f]{1,13}$/i)
  .transform((text) => Number.parseInt(text, 16));

/** 32 bytes, made lower case so that two spellings compare equal. */
const hash = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/i)
  .transform((text) => text.toLowerCase());

/** The part of a block that the connector itself reads; all else is passed on unread. */
export const blockHeader = z.object({ number: quantity, hash, parentHash: hash });
export type BlockHeader = z.infer<typeof blockHeader>;

/** A head as announced. `hash` is null when the node did not say (polling, some providers). */
export interface Head {
  readonly number: number;
  readonly hash: string | null;
}

/** The `error` member of a JSON-RPC 2.0 response. */
export const rpcError = z.object({ code: z.int(), message: z.string().default('') });

const newHead = z.object({
  method: z.literal('eth_subscription'),
  params: z.object({ result: z.object({ number: quantity, hash: hash.nullish() }) }),
});
const subscribed = z.object({ id: z.literal(1), result: z.string() });
const refused = z.object({ id: z.literal(1), error: rpcError });

/** A text frame of the subscription socket, read. */
export const socketMessage = z.union([
  newHead.transform(({ params: { result } }) => ({
    kind: 'head' as const,
    head: { number: result.number, hash: result.hash ?? null },
  })),
  subscribed.transform(() => ({ kind: 'subscribed' as const })),
  refused.transform(({ error }) => ({ kind: 'refused' as const, code: error.code })),
]);
export type SocketMessage = z.infer<typeof socketMessage>;

/** The request that starts the announcements; its answer carries id 1. */
export const SUBSCRIBE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'eth_subscribe',
  params: ['newHeads'],
});
