/** Settings of topics by layer: made so, checked at start, refused when wrong (engine rules, section 1). */
import { PipelineError } from '#pipeline/errors.ts';
import type { Admin, TopicSpec } from '#pipeline/kafka/types.ts';
import type { Layer, Topic } from '#schemas/topics.ts';

/** A full block with receipts is 1 to 5 MB of JSON: one raw record. */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024;
/** Twice as much where tasks write: a dead letter holds a whole raw record and says why. */
const MAX_DERIVED_BYTES = 2 * MAX_RECORD_BYTES;

const APPEND_TIME = {
  'message.timestamp.type': 'LogAppendTime',
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
};
const WRITER_TIME = {
  'message.timestamp.type': 'CreateTime',
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
};

/** What must hold. A reader's tick is a proof only if the broker stamps it; retention counts from inherited, old log times. */
const REQUIRED: Readonly<Record<Layer, Readonly<Record<string, string>>>> = {
  plan: APPEND_TIME,
  raw: APPEND_TIME,
  fact: APPEND_TIME,
  ledger: APPEND_TIME,
  history: WRITER_TIME,
  derived: WRITER_TIME,
};

const CLUSTER_SETTINGS = { 'min.insync.replicas': '2', 'unclean.leader.election.enable': 'false' };

export function topicSpec(
  topic: Pick<Topic, 'layer' | 'partitions'>,
  name: string,
  brokers: number,
): TopicSpec {
  const cluster = brokers >= 3 ? CLUSTER_SETTINGS : {};
  return {
    name,
    partitions: topic.partitions,
    replication: Math.min(3, brokers),
    settings: {
      ...REQUIRED[topic.layer],
      ...cluster,
      'max.message.bytes': String(topic.layer === 'derived' ? MAX_DERIVED_BYTES : MAX_RECORD_BYTES),
    },
  };
}

/**
 * Creates what is missing and checks the rest. Throws TOPIC_SETTINGS_WRONG with every difference.
 * `topics`: physical name and what it must be.
 */
export async function ensureTopics(
  admin: Admin,
  topics: ReadonlyMap<string, Pick<Topic, 'layer' | 'partitions'>>,
): Promise<readonly string[]> {
  const brokers = await admin.brokerCount();
  const specs = [...topics].map(([name, topic]) => topicSpec(topic, name, brokers));
  const created = await admin.createTopics(specs);
  const existing = specs.filter(({ name }) => !created.includes(name));
  if (existing.length === 0) return created;
  const counts = await admin.topics();
  const settings = await admin.settings(existing.map(({ name }) => name));
  const problems = existing.flatMap((spec) => {
    const found = settings.get(spec.name) ?? {};
    const wrong = Object.entries(spec.settings)
      // More room than needed does no harm.
      .filter(([name, value]) =>
        name !== 'max.message.bytes' ? found[name] !== value : Number(found[name]) < Number(value),
      )
      .map(([name, value]) => `${spec.name}: ${name} must be ${value}, found ${found[name] ?? 'nothing'}`);
    const count = counts.get(spec.name);
    if (count !== spec.partitions)
      wrong.push(`${spec.name}: must have ${spec.partitions} partitions for life, found ${count ?? 'none'}`);
    return wrong;
  });
  if (problems.length > 0) {
    throw new PipelineError(
      'TOPIC_SETTINGS_WRONG',
      `${problems.join('; ')}. Correct the settings (kafka-configs --alter), or use other topics (--fresh)`,
    );
  }
  return created;
}
