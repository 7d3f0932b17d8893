/** The life of one local service: prepare, start, wait until it answers, stop. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, PipelineError } from '#pipeline/errors.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import { type Child, type Launch, startChild, tailOf } from './child.ts';
import { endSurvivor } from './process.ts';

export type ServiceName = 'kafka' | 'registry' | 'postgres';

export interface ServiceEvent {
  readonly service: ServiceName;
  readonly state: 'downloading' | 'starting' | 'ready' | 'failed' | 'stopping' | 'stopped';
  /** One line for people; no secrets. */
  readonly detail: string;
  /** Since the service began to start or stop. */
  readonly elapsedMs: number;
}

/** What differs between the services. */
export interface ServicePlan {
  readonly name: ServiceName;
  /** Where it listens, printable. */
  readonly address: string;
  /** How often it is started when it ends before it is ready. */
  readonly attempts: number;
  /** Fetches and formats what is missing; called before every start. */
  prepare(signal: AbortSignal, onDownload: (detail: string) => void): Promise<Launch>;
  /** Throws until the service can be used. */
  checkReady(signal: AbortSignal): Promise<void>;
  /** Once, after the first readiness of each start. */
  afterReady?(signal: AbortSignal): Promise<void>;
  /** `byItself`: it was not killed. */
  afterStop?(byItself: boolean): void;
}

export interface ServiceSetting {
  readonly dataDir: string;
  readonly log: Log;
  onProgress(event: ServiceEvent): void;
}

export interface LocalService {
  readonly name: ServiceName;
  /** Null while it does not run. */
  pid(): number | null;
  /** Resolves when it answers. Throws SERVICE_FAILED, or the reason of the signal. */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when it is gone; at most about 8 s. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** Postgres: fast shutdown; SIGTERM would wait for every client to leave. */
const STOP_SIGNALS = {
  kafka: 'SIGTERM',
  registry: 'SIGTERM',
  postgres: 'SIGINT',
} as const satisfies Record<ServiceName, NodeJS.Signals>;

const pidPathOf = (dataDir: string, name: ServiceName): string => join(dataDir, 'run', `${name}.pid`);

/** Ends what a killed parent left running, before ports are chosen: it still holds them. Needs the lock. */
export async function endSurvivors(dataDir: string, log: Log): Promise<void> {
  const names: readonly ServiceName[] = ['kafka', 'registry', 'postgres'];
  await Promise.all(
    names.map(async (name) => {
      const pid = await endSurvivor(pidPathOf(dataDir, name), STOP_SIGNALS[name], STOP_GRACE_MS);
      if (pid !== null) log.for(name).warn('ended a process left behind by a killed parent', { pid });
    }),
  );
}

/** Kafka and Postgres need well under a second; the rest of the 8 s is for the kill that follows. */
const STOP_GRACE_MS = 6_000;
const READY_WITHIN_MS = 120_000;
const CHECK_MS = 3_000;
const POLL_MS = 50;

export function createLocalService(plan: ServicePlan, setting: ServiceSetting): LocalService {
  const { name } = plan;
  const logPath = join(setting.dataDir, 'logs', `${name}.log`);
  const pidPath = pidPathOf(setting.dataDir, name);
  const log = setting.log.for(name);
  let child: Child | null = null;

  const progress = (sinceMs: number) => (state: ServiceEvent['state'], detail: string) => {
    const elapsedMs = Math.round(performance.now() - sinceMs);
    setting.onProgress({ service: name, state, detail, elapsedMs });
  };

  const launch = async (signal: AbortSignal, report: ReturnType<typeof progress>): Promise<void> => {
    const spec = await plan.prepare(signal, (detail) => report('downloading', detail));
    for (let attempt = 1; ; attempt++) {
      report('starting', plan.address);
      const started = await startChild({ ...spec, logPath, pidPath, stopSignal: STOP_SIGNALS[name] });
      child = started;
      const answered = await untilReady(plan, started, signal);
      if (answered) break;
      if (attempt >= plan.attempts) {
        throw new PipelineError(
          'SERVICE_FAILED',
          `${name} ended while starting (${await started.exited}); the end of ${logPath}: ${tailOf(logPath)}`,
          { facts: { service: name, log: logPath } },
        );
      }
      log.warn('ended while starting, trying again', { attempt });
      await sleep(300, undefined, { signal });
    }
    await plan.afterReady?.(signal);
  };

  return {
    name,
    pid: () => (child === null || child.hasExited ? null : child.pid),
    start: async (signal) => {
      const report = progress(performance.now());
      try {
        await launch(signal, report);
      } catch (error) {
        await child?.kill();
        child = null;
        if (signal.aborted) report('stopped', 'the start was given up');
        else report('failed', messageOf(error));
        throw error;
      }
      const running = child;
      report('ready', plan.address);
      void running?.exited.then((how) => {
        // Still the current one: nobody stopped it.
        if (child !== running) return;
        log.error('ended unexpectedly', { how, log: logPath });
        report('failed', `ended unexpectedly (${how}); see ${logPath}`);
      });
    },
    stop: async () => {
      const running = child;
      child = null;
      if (running === null) return;
      const report = progress(performance.now());
      report('stopping', plan.address);
      const byItself = await running.stop(STOP_GRACE_MS);
      rmSync(pidPath, { force: true });
      plan.afterStop?.(byItself);
      report('stopped', byItself ? 'in order' : `killed after ${STOP_GRACE_MS} ms`);
    },
    kill: async () => {
      const running = child;
      child = null;
      await running?.kill();
    },
  };
}

/** False when the process ended before it answered. */
async function untilReady(plan: ServicePlan, child: Child, signal: AbortSignal): Promise<boolean> {
  const deadlineMs = performance.now() + READY_WITHIN_MS;
  for (;;) {
    signal.throwIfAborted();
    let reason: string;
    try {
      await plan.checkReady(AbortSignal.any([signal, AbortSignal.timeout(CHECK_MS)]));
      // Somebody else may answer on that port while ours has failed to bind it.
      return !child.hasExited;
    } catch (error) {
      reason = messageOf(error);
    }
    if (child.hasExited) return false;
    if (performance.now() > deadlineMs) {
      throw new PipelineError(
        'SERVICE_FAILED',
        `${plan.name} did not answer at ${plan.address} within ${READY_WITHIN_MS / 1_000} s (${reason}): ` +
          'see its log below the data directory; is the machine short of memory?',
      );
    }
    await sleep(POLL_MS);
  }
}
