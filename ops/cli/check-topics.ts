/** Whether a cluster is reachable and its topics are as they must be. Creates and changes nothing. */
import { checkKafka } from '#ops/local/ready.ts';
import { systemClock } from '#pipeline/clock.ts';
import { messageOf } from '#pipeline/errors.ts';
import { type KafkaSecurity, openKafka } from '#pipeline/kafka/client.ts';
import { ensureTopics } from '#pipeline/runtime/topic-settings.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
import { physicalTopics } from '#topology/main.ts';

const ANSWER_MS = 5_000;

/** What was found, for people. Throws TOPIC_SETTINGS_WRONG, or what kept the brokers from answering. */
export async function checkTopics(
  brokers: readonly string[],
  security: KafkaSecurity = { ssl: null, sasl: null },
): Promise<string> {
  // The client waits patiently for a broker that is away; here it is asked once first.
  const reasons: string[] = [];
  const isPlain = security.ssl === null && security.sasl === null;
  for (const broker of isPlain ? brokers : []) {
    try {
      await checkKafka(broker, AbortSignal.timeout(ANSWER_MS));
    } catch (error) {
      reasons.push(messageOf(error));
    }
  }
  if (isPlain && reasons.length === brokers.length) throw new Error(reasons.join('; '));
  const kafka = await openKafka({
    ...{ brokers, clientId: 'baleen-doctor', log: silentLog, clock: systemClock },
    security,
  });
  const admin = kafka.admin();
  try {
    const present = await admin.topics();
    const wanted = physicalTopics((topic) => topic);
    const existing = new Map([...wanted].filter(([name]) => present.has(name)));
    await ensureTopics({ ...admin, createTopics: () => Promise.resolve([]) }, existing);
    return existing.size === wanted.size
      ? `all ${wanted.size} topics are as they must be`
      : `${existing.size} of ${wanted.size} topics are there; "baleen up" makes the others`;
  } finally {
    await admin.close();
    await kafka.close();
  }
}
