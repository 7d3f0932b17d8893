/** What the rest of the project knows of Kafka. Only files in this folder import a client. */

/** Header order is part of a record's bytes. */
export type Headers = readonly (readonly [name: string, value: Buffer])[];

/** A record to write. */
export interface Entry {
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Headers;
}

/** A record as read. Buffers point into the fetch response: copy what is kept. */
export interface KafkaRecord {
  readonly offset: number;
  /** Append time where the topic says so, else the writer's. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Headers;
}

export interface Placement {
  /** Offset of the entry. */
  readonly offset: number;
  /** Broker's append time; -1 on topics with the writer's time. */
  readonly appendTimeMs: number;
}

/** One request outstanding; the order of each partition is the order of `append`. */
export interface Producer {
  /** Queues an entry. Never drops; nothing is resent behind the caller's back except what has no answer. */
  append(topic: string, partition: number, entry: Entry): void;
  /** Resolves when everything appended so far is acknowledged; rejects when the producer failed for good. */
  acknowledged(): Promise<void>;
  /** Queues an entry and resolves with its place once it is acknowledged. */
  send(topic: string, partition: number, entry: Entry): Promise<Placement>;
  /** Bytes queued or in flight. */
  readonly pendingBytes: number;
  /** The partition takes nothing at present, and the others go on without it: what is appended there only waits. */
  isHeldUp(topic: string, partition: number): boolean;
  /** Resolves when `pendingBytes` is below the limit. */
  writable(): Promise<void>;
  /** Waits for what is queued (bounded by the signal), then closes the links. */
  close(signal?: AbortSignal): Promise<void>;
}

export interface FetchHandler {
  /** Called in offset order for each partition, synchronously; `endOffset` is the partition's high watermark. */
  onRecords(topic: string, partition: number, records: readonly KafkaRecord[], endOffset: number): void;
  /** The partition cannot be read on: nothing is reset or skipped. */
  onError(topic: string, partition: number, error: Error): void;
}

/** One long poll for each node over all partitions that are not paused. */
export interface Fetcher {
  add(topic: string, partition: number, offset: number): void;
  remove(topic: string, partition: number): void;
  pause(topic: string, partition: number): void;
  resume(topic: string, partition: number): void;
  close(): Promise<void>;
}

export interface ProducerOptions {
  /** Most bytes in one request; a single larger entry goes alone. Default 1 MB. */
  readonly maxRequestBytes?: number;
  /** Above this `writable` waits. Default 16 MB. */
  readonly maxPendingBytes?: number;
  /** Compression of batches. Default none. */
  readonly compression?: 'none' | 'zstd';
  /**
   * One partition that takes nothing does not hold up the others. Only where no record means anything for the order of
   * another partition's. Default false.
   */
  readonly isIndependent?: boolean;
}

export interface FetcherOptions {
  readonly maxWaitMs?: number;
  readonly maxBytes?: number;
  readonly partitionMaxBytes?: number;
}

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  readonly replication: number;
  /** Kafka topic settings, such as `retention.ms`. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface OffsetRange {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

export interface Admin {
  /** Creates what is missing and waits until every partition of it answers. Returns the names created. */
  createTopics(specs: readonly TopicSpec[]): Promise<readonly string[]>;
  /** Existing topics with their partition counts. */
  topics(): Promise<ReadonlyMap<string, number>>;
  /** Effective settings of a topic. */
  settings(topics: readonly string[]): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>;
  /**
   * Start and end of every partition. `sinceMs`: the start is the first record that has at least this timestamp, and the end
   * where there is none; records of earlier timestamps may lie behind it.
   */
  offsets(topic: string, sinceMs?: number): Promise<readonly OffsetRange[]>;
  deleteTopics(topics: readonly string[]): Promise<void>;
  /** Deletes the records of a partition before `offset`. */
  deleteRecords(topic: string, partition: number, offset: number): Promise<void>;
  /** For lag tools only; never read back. */
  commitOffsets(
    group: string,
    offsets: readonly { topic: string; partition: number; offset: number }[],
  ): Promise<void>;
  brokerCount(): Promise<number>;
  close(): Promise<void>;
}

export interface GroupMember {
  readonly id: string;
  /** What it said when it joined. */
  readonly said: string;
}

/** A group that only shares something out; what is said and shared is text of its members. */
export interface GroupOptions {
  readonly group: string;
  /** A member that is silent for so long is counted out. */
  readonly sessionTimeoutMs: number;
  readonly heartbeatMs: number;
  /** Asked at each joining. */
  says(): string;
  /** By the member that leads: what each gets, by member id. */
  share(members: readonly GroupMember[]): ReadonlyMap<string, string>;
  /** What this member got; called after each joining. */
  onShare(share: string): void;
}

/** Joins by itself, and again whenever it was counted out. */
export interface Membership {
  /** Says goodbye, so that the others need not wait; a broker that does not answer is not waited for long. */
  leave(): Promise<void>;
}

/** A connected Kafka client: the only door to the cluster. */
export interface Kafka {
  producer(options?: ProducerOptions): Producer;
  fetcher(handler: FetchHandler, options?: FetcherOptions): Fetcher;
  admin(): Admin;
  join(options: GroupOptions): Membership;
  close(): Promise<void>;
}
