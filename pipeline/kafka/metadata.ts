/** Metadata, version 6: nodes, topics, leaders. A partition in trouble is an answer here, not an exception. */
import { createReader, createWriter } from './wire.ts';

export const METADATA = { key: 3, version: 6, name: 'Metadata' } as const;

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

export interface TopicMetadata {
  readonly name: string;
  readonly error: number;
  readonly isInternal: boolean;
  /** Partition number -> node id of its leader, null while it has none. */
  readonly leaders: ReadonlyMap<number, number | null>;
}

export interface Metadata {
  readonly nodes: ReadonlyMap<number, NodeAddress>;
  readonly topics: readonly TopicMetadata[];
}

/** Asks for these topics; null: for all. Never creates one. */
export function metadataBody(topics: readonly string[] | null): Buffer {
  const writer = createWriter();
  if (topics === null) writer.int32(-1);
  else {
    writer.int32(topics.length);
    for (const topic of topics) writer.string(topic);
  }
  writer.int8(0);
  return writer.take();
}

export function metadataAnswer(payload: Buffer): Metadata {
  const reader = createReader(payload);
  reader.int32(); // throttle
  const nodes = reader.array((): [number, NodeAddress] => {
    const node: [number, NodeAddress] = [reader.int32(), { host: reader.string(), port: reader.int32() }];
    reader.string(); // rack
    return node;
  });
  reader.string(); // cluster id
  reader.int32(); // controller id
  const topics = reader.array((): TopicMetadata => {
    const error = reader.int16();
    const name = reader.string();
    const isInternal = reader.int8() !== 0;
    const leaders = reader.array((): [number, number | null] => {
      reader.int16(); // error of the partition: the leader says what matters
      const partition = reader.int32();
      const leader = reader.int32();
      for (let list = 0; list < 3; list++) reader.array(reader.int32); // replicas, in sync, offline
      return [partition, leader < 0 ? null : leader];
    });
    return { name, error, isInternal, leaders: new Map(leaders) };
  });
  return { nodes: new Map(nodes), topics };
}
