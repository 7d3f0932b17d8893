/** Values of topics to and from bytes, with schemas registered under BACKWARD_TRANSITIVE. */
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import type avsc from 'avsc';
import { messageOf, PipelineError, printableUrl } from '#pipeline/errors.ts';
import type { RecordSchema, ValueOf } from '#schemas/avro.ts';
import type { Topic } from '#schemas/topics.ts';
import { compile } from './avro.ts';
import { type Codec, compileCodec } from './codec.ts';
import { Slab } from './slab.ts';

export interface Serde {
  /** Throws VALUE_UNREADABLE when the value does not fit its schema. */
  encode<S extends RecordSchema>(topic: Topic<S>, value: ValueOf<S>): Buffer;
  /** Throws VALUE_UNREADABLE when the bytes are not a value of the topic. */
  decode<S extends RecordSchema>(topic: Topic<S>, bytes: Buffer): ValueOf<S>;
}

/** Bytes before the Avro body: magic 0 and the schema id, big-endian. */
const PREFIX_BYTES = 5;

interface Entry {
  readonly schemaId: number;
  readonly type: avsc.Type;
  readonly codec: Codec;
  /** Writers' schema ids (this and earlier versions) with what reads them. */
  readonly readers: ReadonlyMap<number, avsc.Resolver | null>;
}

/**
 * Registers the schema of every topic (subject `<topic>-value`) and learns the ids of their earlier versions.
 * The id written is that of the own schema text, never the latest. Throws SCHEMA_INCOMPATIBLE (a change that could
 * not read what is in the topics), SCHEMA_UNSUPPORTED or SERVICE_UNREACHABLE.
 */
export async function openSerde(options: { registryUrl: string; topics: readonly Topic[] }): Promise<Serde> {
  const types = options.topics.map((topic) => compile(topic.schema));
  const registry = new SchemaRegistry({ host: options.registryUrl, retry: { retries: 3 } });
  const entries = new Map<string, Entry>();
  await Promise.all(
    options.topics.map(async (topic, index) => {
      const type = types[index] as avsc.Type;
      const schemaId = await register(registry, topic, options.registryUrl);
      const readers = await earlierVersions(options.registryUrl, topic, type, schemaId);
      entries.set(topic.name, { schemaId, type, codec: compileCodec(topic.schema), readers });
    }),
  );
  return serdeOf(entries);
}

/** A serde without a registry, with ids by position: for tests of one process. */
export function localSerde(topics: readonly Topic[]): Serde {
  return serdeOf(
    new Map(
      topics.map((topic, index) => [
        topic.name,
        {
          schemaId: index + 1,
          type: compile(topic.schema),
          codec: compileCodec(topic.schema),
          readers: new Map([[index + 1, null]]),
        },
      ]),
    ),
  );
}

const serdeOf = (entries: ReadonlyMap<string, Entry>): Serde => {
  const entryOf = (topic: Topic): Entry => {
    const entry = entries.get(topic.name);
    if (entry === undefined)
      throw new PipelineError('INVARIANT_BROKEN', `${topic.name}: no schema was opened for it`);
    return entry;
  };
  const slab = new Slab();
  return {
    encode: (topic, value) => {
      const { codec, schemaId } = entryOf(topic);
      try {
        for (;;) {
          const end = codec.write(value, slab.bytes, slab.at + PREFIX_BYTES);
          const { bytes, at } = slab;
          const taken = slab.take(end);
          if (taken === null) continue;
          bytes[at] = 0;
          bytes.writeInt32BE(schemaId, at + 1);
          return taken;
        }
      } catch (error) {
        throw new PipelineError('VALUE_UNREADABLE', `${topic.name}: value does not fit: ${messageOf(error)}`);
      }
    },
    decode: <S extends RecordSchema>(topic: Topic<S>, bytes: Buffer): ValueOf<S> => {
      const entry = entryOf(topic);
      if (bytes.length < PREFIX_BYTES || bytes[0] !== 0) {
        throw new PipelineError('VALUE_UNREADABLE', `${topic.name}: expected magic byte 0 and a schema id`);
      }
      const schemaId = bytes.readInt32BE(1);
      const resolver = entry.readers.get(schemaId);
      if (resolver === undefined) {
        throw new PipelineError(
          'VALUE_UNREADABLE',
          `${topic.name}: schema id ${schemaId} is not one of its versions`,
        );
      }
      try {
        if (resolver === null) return entry.codec.read(bytes, PREFIX_BYTES) as ValueOf<S>;
        const read = entry.type.decode(bytes, PREFIX_BYTES, resolver);
        if (read.offset !== bytes.length)
          throw new Error(`${bytes.length - read.offset} bytes too many or too few`);
        return read.value as ValueOf<S>;
      } catch (error) {
        throw new PipelineError(
          'VALUE_UNREADABLE',
          `${topic.name}: not a ${topic.schema.name}: ${messageOf(error)}`,
        );
      }
    },
  };
};

/** Processes that start at once set up the same subject: whoever was second finds it there when it asks again. */
const ATTEMPTS = 5;

async function register(
  registry: SchemaRegistry,
  topic: Topic,
  url: string,
  attempt: number = 1,
): Promise<number> {
  const subject = `${topic.name}-value`;
  const compatibility = COMPATIBILITY.BACKWARD_TRANSITIVE;
  try {
    await finishSubject(url, subject, compatibility);
    const schema = JSON.stringify(topic.schema);
    const { id } = await registry.register({ type: SchemaType.AVRO, schema }, { subject, compatibility });
    return id;
  } catch (error) {
    const status =
      typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
    if (status === 409 && attempt < ATTEMPTS && /already exists/.test(messageOf(error)))
      return register(registry, topic, url, attempt + 1);
    if (status === 409) {
      throw new PipelineError(
        'SCHEMA_INCOMPATIBLE',
        `${topic.name}: the schema cannot read what is already in the topic; give new fields a default or make a new topic version`,
        { cause: error },
      );
    }
    throw new PipelineError(
      'SERVICE_UNREACHABLE',
      `schema registry ${printableUrl(url)}: expected to register ${subject}, found: ${messageOf(error)}; check REGISTRY_URL`,
      { cause: error },
    );
  }
}

/** The client sets the rule after the schema. A crash between the two leaves a subject without one, which it then refuses. */
async function finishSubject(url: string, subject: string, compatibility: string): Promise<void> {
  const versions = await fetch(`${url}/subjects/${encodeURIComponent(subject)}/versions`);
  await versions.body?.cancel();
  if (!versions.ok) return;
  const config = `${url}/config/${encodeURIComponent(subject)}`;
  const answer = await fetch(config);
  const found: unknown = await answer.json();
  const level =
    typeof found === 'object' && found !== null && 'compatibilityLevel' in found
      ? found.compatibilityLevel
      : null;
  if (answer.ok && level !== 'NONE') return;
  const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
  const set = await fetch(config, { method: 'PUT', headers, body: JSON.stringify({ compatibility }) });
  await set.body?.cancel();
}

async function earlierVersions(
  url: string,
  topic: Topic,
  type: avsc.Type,
  own: number,
): Promise<ReadonlyMap<number, avsc.Resolver | null>> {
  const readers = new Map<number, avsc.Resolver | null>([[own, null]]);
  const subject = `${url}/subjects/${encodeURIComponent(`${topic.name}-value`)}/versions`;
  const versions = (await (await fetch(subject)).json()) as readonly number[];
  for (const version of versions.length > 1 ? versions : []) {
    const found = (await (await fetch(`${subject}/${version}`)).json()) as { id: number; schema: string };
    if (readers.has(found.id)) continue;
    readers.set(found.id, type.createResolver(compile(JSON.parse(found.schema))));
  }
  return readers;
}
