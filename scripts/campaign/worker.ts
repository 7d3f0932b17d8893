/** One process of the campaign: runs its share of the tasks, until it is stopped, killed, or cannot go on. */
import { once } from 'node:events';
import { systemClock } from '#pipeline/clock.ts';
import { isPipelineError, messageOf } from '#pipeline/errors.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import { openNotes } from '#pipeline/poison/notes.ts';
import { openPlan } from '#pipeline/runtime/plan.ts';
import { startProcessing, stateFolder } from '#pipeline/runtime/processing.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { openLevelBackend, putAside } from '#pipeline/state/level.ts';
import { createLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { planTopic } from '#schemas/topics.ts';
import { graph, isOfShare } from './topology.ts';

export interface WorkerSettings {
  readonly name: string;
  readonly brokers: readonly string[];
  readonly prefix: string;
  readonly stateDir: string;
  /** Which share of the tasks, of how many. */
  readonly share: number;
  readonly shares: number;
}

/** Begins the last line of a process that ended by itself: then a code and a message. */
export const ENDED = 'ENDED';

async function work(settings: WorkerSettings): Promise<void> {
  const { name, brokers, prefix, stateDir, share, shares } = settings;
  const clock = systemClock;
  const log = createLog({ level: 'warn' });
  const metrics = createMetrics();
  const serde = localSerde(graph.topics);
  const physicalName = (topic: string): string => `${prefix}${topic}`;
  const stopped = once(process, 'SIGTERM').then(() => null);
  const kafka = await openKafka({ brokers, clientId: name, log, clock, metrics });
  try {
    const common = { kafka, graph, serde, physicalName, clock };
    const genesis = await openPlan({ ...common, topic: planTopic, fingerprint: 'campaign' });
    const processing = await startProcessing({
      ...common,
      ...{ genesis, log, metrics },
      owns: (task) => isOfShare(task, share, shares),
      instance: `${name}-${process.pid}-${clock.nowMs()}`,
      lagGroup: null,
      // Small, so that snapshots and deletions take part.
      limits: { snapshotBytes: 100_000 },
      // Beside the state, which is damaged on purpose. Kills from outside must not lead to a skip.
      notes: openNotes(`${stateDir}-notes`, (error) => log.warn('no note', { error })),
      openState: async (task, found) => {
        const folder = stateFolder(stateDir, task);
        if (found === 'damaged') await putAside(folder);
        return openLevelBackend(folder);
      },
    });
    const failure = await Promise.race([processing.failed, stopped]);
    await processing.stop();
    if (failure !== null) throw failure;
  } finally {
    await kafka.close();
  }
}

if (import.meta.main) {
  await work(JSON.parse(process.argv[2] ?? '{}') as WorkerSettings).then(
    () => process.exit(0),
    (error: unknown) => {
      const code = isPipelineError(error) ? error.code : 'NO_CODE';
      process.stdout.write(`${ENDED} ${code} ${messageOf(error).replaceAll('\n', ' ')}\n`);
      process.exit(1);
    },
  );
}
