/** `baleen status`: what a running pipeline does, and who waits for whom. */
import { resolve } from 'node:path';
import { readAdminAddress } from '#ops/admin/address.ts';
import { type Status, statusSchema } from '#ops/admin/status.ts';
import { PipelineError } from '#pipeline/errors.ts';
import { askAdmin } from './ask-admin.ts';
import { type Io, processIo } from './io.ts';
import { stripped } from './printable.ts';
import { duration, grouped, megabytes, timestamp } from './quantities.ts';
import { waitNotices } from './wait-notices.ts';

/** Returns the exit code. Throws SERVICE_UNREACHABLE when nothing runs. */
export async function status(
  options: { readonly dataDir: string; readonly json: boolean },
  io: Io = processIo,
): Promise<number> {
  const dataDir = resolve(options.dataDir);
  const running = await readAdminAddress(dataDir);
  if (running === null) {
    throw new PipelineError(
      'SERVICE_UNREACHABLE',
      `nothing is running for the data directory ${dataDir}: start it with "baleen up", or name its --data-dir`,
    );
  }
  const found = statusSchema.parse(await askAdmin(running.url, '/status'));
  if (options.json) io.out(JSON.stringify(found, null, 2));
  else for (const line of statusLines(found, running.url)) io.out(line);
  return 0;
}

/** As people read it. */
export function statusLines(found: Status, url: string): readonly string[] {
  const { state, pid, nowMs, startedAtMs, tasks, waits, restores, connectors, sinks } = found;
  const restoring = restores.filter(({ isDone }) => !isDone);
  const lag = tasks.reduce((sum, task) => sum + task.lag, 0);
  const notices = waitNotices(waits, nowMs);
  return [
    `${state} for ${duration(nowMs - startedAtMs)}, process ${pid}, admin server ${url}`,
    ...versionLines(found.version),
    ...restoring.map(
      ({ task, entries, bytes, remaining }) =>
        `restoring ${task}: ${grouped(entries)} entries, ${megabytes(bytes)}, ${grouped(remaining)} changelog records left`,
    ),
    ...(tasks.length === 0 ? [] : [`${tasks.length} tasks, lag ${grouped(lag)}`, '', ...taskTable(found)]),
    ...(notices.length === 0 ? [] : ['', ...notices.map(({ text }) => `warning ${stripped(text)}`)]),
    ...(connectors.length + sinks.length === 0 ? [] : ['']),
    ...connectors.map(({ name, detail }) => `connector ${name.padEnd(10)} ${stripped(detail)}`),
    ...sinks.map(({ name, detail }) => `sink      ${name.padEnd(10)} ${stripped(detail)}`),
  ];
}

/** Nothing, of a version that is whole and came about in order. */
function versionLines(version: Status['version']): readonly string[] {
  if (version === null) return [];
  const { excluded, forced } = version;
  return [
    ...excluded.map(
      ({ name, sinceMs }) =>
        `without ${stripped(name)} since ${timestamp(sinceMs)}; "baleen return ${stripped(name)}" takes it in again`,
    ),
    ...forced.map(
      ({ epoch, cutMs, tasks }) =>
        `the cut to version ${epoch} at ${timestamp(cutMs)} was forced for ${tasks.map(stripped).join(', ')}: what they had written after their last checkpoints came out twice`,
    ),
  ];
}

function taskTable({ tasks, waits, nowMs }: Status): readonly string[] {
  const rows = tasks.map(({ task, step, lag, checkpoint }) => {
    const age = checkpoint.atMs === null ? 'before this start' : `${duration(nowMs - checkpoint.atMs)} ago`;
    const wait = waits.find((one) => one.task === task);
    return [
      task,
      grouped(step),
      grouped(lag),
      `${checkpoint.step === step ? 'all' : grouped(checkpoint.step)}, ${age}`,
      wait === undefined ? '' : waitText(wait, nowMs),
    ];
  });
  const head = ['task', 'steps', 'lag', 'checkpoint', 'waits for'];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const isNumber = (column: number) => column === 1 || column === 2;
  return [head, ...rows].map((row) =>
    row
      .map((cell, column) =>
        isNumber(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

function waitText({ halted, waitsFor, sinceMs }: Status['waits'][number], nowMs: number): string {
  if (halted !== null) return `halted before ${stripped(halted.place)}`;
  if (waitsFor === null) return '';
  return `${stripped(waitsFor)}, ${duration(nowMs - (sinceMs ?? nowMs))}`;
}
