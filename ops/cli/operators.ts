/** What `up` gives its operators beside the screen: the admin server and its address, and progress of restores. */
import { removeAdminAddress, writeAdminAddress } from '#ops/admin/address.ts';
import { type StateReader, startAdmin } from '#ops/admin/server.ts';
import { statusOf, watchRestores } from '#ops/admin/status.ts';
import type { Clock } from '#pipeline/clock.ts';
import { findStore, joinPages } from '#pipeline/runtime/state-view.ts';
import type { Log } from '#pipeline/telemetry/log.ts';
import type { Metrics } from '#pipeline/telemetry/metrics.ts';
import { graph } from '#topology/graph.ts';
import type { Pipeline, PipelineOptions } from '#topology/main.ts';
import type { Display } from './display.ts';
import { createRestoreLines } from './restore-lines.ts';

export interface OperatorsOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly dataDir: string;
  readonly startedAtMs: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly display: Display;
  readonly isTerminal: boolean;
  /** Aborted when everything is being stopped. */
  readonly signal: AbortSignal;
}

export interface Operators {
  /** Of the admin server. */
  readonly url: string;
  readonly onRestore: NonNullable<PipelineOptions['onRestore']>;
  /** From now on its tasks and stores are shown. */
  attach(pipeline: Pipeline): void;
  close(): Promise<void>;
}

/** Before the pipeline is opened, so that a long restore can be watched. Throws SERVICE_FAILED when it cannot listen. */
export async function openOperators(options: OperatorsOptions): Promise<Operators> {
  const { dataDir, startedAtMs, clock, display, signal } = options;
  const restores = watchRestores(() => clock.nowMs());
  const showRestore = createRestoreLines(display, options.isTerminal);
  let pipeline: Pipeline | null = null;
  const server = await startAdmin({
    ...options,
    log: options.log.for('admin'),
    status: () =>
      statusOf({
        pid: process.pid,
        startedAtMs,
        nowMs: clock.nowMs(),
        restores: restores.list,
        pipeline,
        isStopping: signal.aborted,
      }),
    state: () => (pipeline === null || signal.aborted ? null : readerOf(pipeline)),
  });
  await writeAdminAddress(dataDir, { url: server.url, pid: process.pid });
  return {
    url: server.url,
    onRestore: (task, progress) => {
      const status = restores.onRestore(task, progress);
      showRestore(status, clock.nowMs() - status.startedAtMs);
    },
    attach: (opened) => {
      pipeline = opened;
    },
    close: async () => {
      await removeAdminAddress(dataDir);
      await server.close();
    },
  };
}

const readerOf = ({ processing }: Pipeline): StateReader => ({
  find: (name) => findStore(graph, name),
  lookUp: processing.lookUp,
  list: async (found, range) => joinPages(await processing.pages(found, range), range),
});
