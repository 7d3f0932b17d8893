/** Who leads which partition, and how to reach a node. Leaders may be stale: an answer with an error says so. */
import { messageOf, PipelineError } from '../errors.ts';
import { brokerErrorText } from './broker-errors.ts';
import {
  type Api,
  CONTROL_TIMEOUT_MS,
  DATA_TIMEOUT_MS,
  type Link,
  type LinkSettings,
  openLink,
} from './link.ts';
import { METADATA, type Metadata, metadataAnswer, metadataBody, type NodeAddress } from './metadata.ts';
import { LIST_OFFSETS, listOffsetsAnswer, listOffsetsBody } from './offset-requests.ts';
import type { OffsetRange } from './types.ts';

export interface Cluster {
  /** Node id of the leader as last heard; null when unknown. */
  leader(topic: string, partition: number): number | null;
  /** Asks for the leaders of these topics anew. Rejects with KAFKA_UNAVAILABLE when no node answers. */
  refresh(topics: Iterable<string>): Promise<void>;
  /** Existing topics without Kafka's own, with their partition counts. */
  topics(): Promise<ReadonlyMap<string, number>>;
  /** Number of live nodes. */
  brokerCount(): Promise<number>;
  /** As `Admin.offsets`. Rejects with KAFKA_UNAVAILABLE while one of the partitions does not answer. */
  offsets(topic: string, sinceMs?: number): Promise<readonly OffsetRange[]>;
  /** A link of the caller's own, for long polls or batches. */
  connect(node: number, signal: AbortSignal, requestTimeoutMs?: number): Promise<Link>;
  /** A small question to a node (null: to any), over the shared link. Rejects with KAFKA_UNAVAILABLE. */
  ask(node: number | null, api: Api, body: Buffer): Promise<Buffer>;
  close(): void;
}

const parseSeed = (text: string): NodeAddress => {
  const match = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:\s]+)):(?<port>\d{1,5})$/.exec(text.trim());
  const host = match?.groups?.six ?? match?.groups?.host;
  if (host === undefined) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `KAFKA_BROKERS: expected host:port, found ${JSON.stringify(text)}`,
    );
  }
  return { host, port: Number(match?.groups?.port) };
};

const addressKey = ({ host, port }: NodeAddress): string => `${host}:${port}`;

/** Throws CONFIG_INVALID for an address that is not `host:port`; connects only when asked. */
export function createCluster(settings: LinkSettings, brokers: readonly string[]): Cluster {
  const seeds = brokers.map(parseSeed);
  const closing = new AbortController();
  /** Links for small questions, by address. */
  const control = new Map<string, Promise<Link>>();
  const leaders = new Map<string, ReadonlyMap<number, number | null>>();
  let nodes: ReadonlyMap<number, NodeAddress> = new Map();
  let inFlight: Promise<Metadata> | null = null;
  let following: Promise<Metadata> | null = null;
  const wanted = new Set<string>();

  const controlLink = async (address: NodeAddress): Promise<Link> => {
    const key = addressKey(address);
    const known = control.get(key);
    if (known !== undefined) {
      const link = await known.catch(() => null);
      if (link?.isOpen) return link;
      if (control.get(key) === known) control.delete(key);
    }
    const current = control.get(key);
    if (current !== undefined) return current;
    const opening = openLink(settings, {
      address,
      requestTimeoutMs: CONTROL_TIMEOUT_MS,
      signal: closing.signal,
    });
    control.set(key, opening);
    return opening;
  };

  const askAt = async (address: NodeAddress, api: Api, body: Buffer): Promise<Buffer> => {
    const link = await controlLink(address);
    try {
      return await link.request(api, [body]);
    } catch (error) {
      link.close();
      throw error;
    }
  };

  const askAny = async (api: Api, body: Buffer): Promise<Buffer> => {
    const places = new Map([...nodes.values(), ...seeds].map((address) => [addressKey(address), address]));
    // Those with a link first: the others may be gone.
    const order = [...places].sort(([a], [b]) => Number(control.has(b)) - Number(control.has(a)));
    let last: unknown;
    for (const [, address] of order) {
      if (closing.signal.aborted) break;
      try {
        return await askAt(address, api, body);
      } catch (error) {
        last = error;
      }
    }
    throw new PipelineError(
      'KAFKA_UNAVAILABLE',
      `expected a Kafka broker at ${brokers.join(',')}, none answered; start it or correct KAFKA_BROKERS`,
      { cause: last },
    );
  };

  const load = async (): Promise<Metadata> => {
    const metadata = metadataAnswer(await askAny(METADATA, metadataBody([...wanted])));
    nodes = metadata.nodes;
    for (const topic of metadata.topics) {
      if (topic.error === 0 || topic.leaders.size > 0) leaders.set(topic.name, topic.leaders);
      else leaders.delete(topic.name);
    }
    return metadata;
  };

  /** A question in flight may be older than the reason to ask: callers meanwhile share the one after it. */
  const reload = (): Promise<Metadata> => {
    if (inFlight === null) {
      inFlight = load().finally(() => {
        inFlight = null;
      });
      return inFlight;
    }
    following ??= inFlight
      .catch(() => null)
      .then(() => {
        following = null;
        return reload();
      });
    return following;
  };

  const addressOf = (node: number): NodeAddress => {
    const address = nodes.get(node);
    if (address === undefined) {
      throw new PipelineError(
        'KAFKA_UNAVAILABLE',
        `Kafka node ${node} is not in the metadata; it may have left`,
      );
    }
    return address;
  };

  /** A broken connection is an answer that did not come: whoever can wait asks again. */
  const askNode = async (node: number, api: Api, body: Buffer): Promise<Buffer> => {
    const address = addressOf(node);
    try {
      return await askAt(address, api, body);
    } catch (error) {
      throw new PipelineError(
        'KAFKA_UNAVAILABLE',
        `Kafka node ${node} at ${addressKey(address)} did not answer ${api.name}: ${messageOf(error)}; try again`,
        { facts: { node }, cause: error },
      );
    }
  };

  const leader = (topic: string, partition: number): number | null =>
    leaders.get(topic)?.get(partition) ?? null;

  const edge = async (topic: string, at: 'start' | 'end' | number): Promise<ReadonlyMap<number, number>> => {
    const partitions = [...(leaders.get(topic)?.keys() ?? [])];
    const byNode = Map.groupBy(partitions, (partition) => leader(topic, partition));
    const found = await Promise.all(
      [...byNode].map(async ([node, members]) => {
        if (node === null) throw noAnswer(topic, `partitions ${members.join(',')} have no leader`);
        return listOffsetsAnswer(await askNode(node, LIST_OFFSETS, listOffsetsBody(topic, members, at)));
      }),
    );
    const offsets = new Map<number, number>();
    for (const { partition, error, offset } of found.flat()) {
      if (error !== 0) throw noAnswer(topic, `partition ${partition} says ${brokerErrorText(error)}`);
      offsets.set(partition, offset);
    }
    if (offsets.size === 0 || offsets.size !== partitions.length)
      throw noAnswer(topic, 'some partitions are missing');
    return offsets;
  };

  return {
    leader,
    refresh: async (topics) => {
      for (const topic of topics) wanted.add(topic);
      await reload();
    },
    topics: async () => {
      const { topics } = metadataAnswer(await askAny(METADATA, metadataBody(null)));
      const own = topics.filter(({ error, isInternal }) => error === 0 && !isInternal);
      return new Map(own.map(({ name, leaders: partitions }) => [name, partitions.size]));
    },
    brokerCount: async () => (await reload()).nodes.size,
    offsets: async (topic, sinceMs) => {
      wanted.add(topic);
      await reload();
      const [start, end] = await Promise.all([edge(topic, sinceMs ?? 'start'), edge(topic, 'end')]);
      return [...end]
        .map(([partition, last]) => {
          const first = start.get(partition) ?? -1;
          return { partition, start: first === -1 ? last : first, end: last };
        })
        .sort((a, b) => a.partition - b.partition);
    },
    connect: (node, signal, requestTimeoutMs = DATA_TIMEOUT_MS) =>
      openLink(settings, {
        address: addressOf(node),
        requestTimeoutMs,
        signal: AbortSignal.any([signal, closing.signal]),
      }),
    ask: (node, api, body) => (node === null ? askAny(api, body) : askNode(node, api, body)),
    close: () => closing.abort(),
  };
}

const noAnswer = (topic: string, what: string): PipelineError =>
  new PipelineError(
    'KAFKA_UNAVAILABLE',
    `topic ${topic}: expected offsets of every partition, ${what}; try again`,
    {
      facts: { topic },
    },
  );
