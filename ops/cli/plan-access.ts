/** The plan of a data directory, for commands that look at versions or decide on one. */
import { resolve } from 'node:path';
import { systemClock } from '#pipeline/clock.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import type { Kafka } from '#pipeline/kafka/types.ts';
import { type PlacedDecision, readDecisions } from '#pipeline/plan/decisions.ts';
import { fingerprintOf } from '#pipeline/plan/description.ts';
import { type Version, versionsOf } from '#pipeline/plan/versions.ts';
import { shortVersion } from '#pipeline/runtime/plan.ts';
import { openSerde, type Serde } from '#pipeline/serde/serde.ts';
import { createLog } from '#pipeline/telemetry/log.ts';
import { planTopic } from '#schemas/topics.ts';
import { describeThis } from '#topology/main.ts';
import { reachServices } from './reach.ts';
import { readKafkaSecurity, type SettingSources } from './settings.ts';

export interface PlanAccess {
  readonly kafka: Kafka;
  readonly serde: Serde;
  readonly topic: typeof planTopic;
  readonly physicalName: (topic: string) => string;
  /** All of them, in order; none when nothing ran yet. */
  readonly decisions: readonly PlacedDecision[];
  /** In order; none when nothing ran yet. */
  readonly versions: readonly Version[];
}

/** Services that do not run are started for the time of `work`. */
export async function withPlan<T>(
  options: {
    readonly dataDir: string;
    readonly sources: SettingSources;
    readonly say: (text: string) => void;
  },
  work: (plan: PlanAccess) => Promise<T>,
): Promise<T> {
  const dataDir = resolve(options.dataDir);
  const log = createLog({ level: 'silent' });
  const services = await reachServices({ dataDir, sources: options.sources, log, say: options.say });
  try {
    const kafka = await openKafka({
      brokers: services.kafkaBrokers.split(','),
      security: await readKafkaSecurity(options.sources),
      clientId: 'baleen-plan',
      log,
      clock: systemClock,
    });
    try {
      const serde = await openSerde({ registryUrl: services.registryUrl, topics: [planTopic] });
      const base = { kafka, serde, topic: planTopic, physicalName: (topic: string) => topic };
      const admin = kafka.admin();
      const existing = await admin.topics().finally(() => admin.close());
      const decisions = existing.has(planTopic.name) ? await readDecisions(base) : [];
      return await work({ ...base, decisions, versions: versionsOf(decisions) });
    } finally {
      await kafka.close();
    }
  } finally {
    await services.stop();
  }
}

/** The version that runs, for what its own code alone may decide. Null: nothing ran yet. Throws FINGERPRINT_CHANGED. */
export async function presentVersion({
  versions,
  topic,
}: Pick<PlanAccess, 'versions' | 'topic'>): Promise<Version | null> {
  const present = versions.at(-1);
  if (present === undefined) return null;
  if (present.fingerprint === fingerprintOf(await describeThis())) return present;
  throw new PipelineError(
    'FINGERPRINT_CHANGED',
    `${topic.name}: version ${shortVersion(present)} runs there, this is another; decide it with the code that runs`,
  );
}
