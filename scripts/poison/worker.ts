/** One process with all tasks: runs until it is asked to stop, or until it dies of what it folds. */
import { once } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '#pipeline/clock.ts';
import { openKafka } from '#pipeline/kafka/client.ts';
import { openNotes } from '#pipeline/poison/notes.ts';
import { openPlan } from '#pipeline/runtime/plan.ts';
import { startProcessing, stateFolder } from '#pipeline/runtime/processing.ts';
import { localSerde } from '#pipeline/serde/serde.ts';
import { openLevelBackend } from '#pipeline/state/level.ts';
import { createLog } from '#pipeline/telemetry/log.ts';
import { createMetrics } from '#pipeline/telemetry/metrics.ts';
import { planTopic } from '#schemas/topics.ts';
import { graph } from './topology.ts';

export interface WorkerSettings {
  readonly brokers: readonly string[];
  readonly prefix: string;
  /** Of this process alone. */
  readonly folder: string;
}

async function work({ brokers, prefix, folder }: WorkerSettings): Promise<void> {
  const clock = systemClock;
  const log = createLog({ level: 'warn' });
  const metrics = createMetrics();
  const serde = localSerde(graph.topics);
  const physicalName = (topic: string): string => `${prefix}${topic}`;
  const stopped = once(process, 'SIGTERM').then(() => null);
  const kafka = await openKafka({ brokers, clientId: 'poison', log, clock, metrics });
  const common = { kafka, graph, serde, physicalName, clock };
  const genesis = await openPlan({ ...common, topic: planTopic, fingerprint: 'poison' });
  const processing = await startProcessing({
    ...common,
    ...{ genesis, log, metrics },
    instance: `${process.pid}-${clock.nowMs()}`,
    lagGroup: null,
    checkpointMs: 200,
    notes: openNotes(join(folder, 'notes'), (error) => log.warn('no note', { error })),
    openState: (task) => openLevelBackend(stateFolder(folder, task)),
  });
  const failure = await Promise.race([processing.failed, stopped]);
  await processing.stop();
  await kafka.close();
  if (failure !== null) throw failure;
}

if (import.meta.main) await work(JSON.parse(process.argv[2] ?? '{}') as WorkerSettings);
