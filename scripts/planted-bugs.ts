/**
 * Faults of one line in the engine's own code, applied one by one to a copy of it. The simulation must catch each:
 * what it cannot catch, it does not prove.
 *
 *     npm run planted-bugs
 *     npm run planted-bugs -- --bug timers-not-restored --schedules 500
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { SimulationResult } from './simulate.ts';

export interface PlantedBug {
  readonly name: string;
  /** Under `pipeline/`. */
  readonly file: string;
  /** Occurs once in the file. */
  readonly from: string;
  readonly to: string;
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  // The order of input.
  {
    name: 'tie-by-time-only',
    file: 'merge/merge.ts',
    from: 'if (timeMs < least.timeMs) {',
    to: 'if (timeMs <= least.timeMs) {',
  },
  {
    name: 'tick-one-early',
    file: 'runtime/task.ts',
    from: 'outputs.tick(tickedMs);',
    to: 'outputs.tick(tickedMs + 1);',
  },
  {
    name: 'raw-tick-inclusive',
    file: 'merge/inbound.ts',
    from: 'if (isTick(record.headers)) return false;',
    to: 'if (isTick(record.headers)) { channel.frontierMs += 1; return false; }',
  },
  {
    name: 'tick-ignores-sequence',
    file: 'merge/inbound.ts',
    from: 'if (tick === null || channel.last.sequence < tick.sequence) return;',
    to: 'if (tick === null) return;',
  },
  {
    name: 'tick-of-one-record-less',
    file: 'runtime/outputs.ts',
    from: 'if (sequence > 0) sequences[name] = sequence;',
    to: 'if (sequence > 0) sequences[name] = sequence - 1;',
  },
  {
    name: 'tick-not-repeated',
    file: 'runtime/turns.ts',
    from: 'task.emitTick(true)',
    to: 'task.emitTick(false)',
  },
  { name: 'nobody-asks-for-ticks', file: 'runtime/turns.ts', from: 'ticker.want(waitsForMs);', to: '' },
  {
    name: 'duplicates-kept',
    file: 'merge/inbound.ts',
    from: 'position.sequence <= channel.stored.sequence) return true;',
    to: 'position.sequence < channel.stored.sequence) return true;',
  },
  {
    name: 'pause-whatever-is-needed',
    file: 'runtime/inputs.ts',
    from: 'input.readers.every(({ inbound }) => inbound.canPause())',
    to: 'input.readers.length > 0',
  },
  // Tasks that move between processes.
  {
    name: 'newcomer-reads-from-where-the-others-are',
    file: 'runtime/inputs.ts',
    from: 'if (known !== undefined && nextOffset >= known.takenOffset) {',
    to: 'if (known !== undefined) {',
  },
  {
    name: 'nobody-elsewhere-is-asked-for-ticks',
    file: 'runtime/processing.ts',
    from: 'if (dependsOnOthers) wishes.want(logTimeMs);',
    to: '',
  },
  {
    name: 'openings-share-their-group-numbers',
    file: 'runtime/processing.ts',
    from: 'openings += 1;',
    to: '',
  },
  {
    name: 'two-checkpoints-of-a-task-at-once',
    file: 'runtime/checkpoints.ts',
    from: 'const done = busy.then(work);',
    to: 'const done = Promise.resolve().then(work);',
  },
  {
    name: 'a-task-that-left-is-fetched-for',
    file: 'runtime/inputs.ts',
    from: 'byName.delete(name);',
    to: '',
  },
  // What is kept over a restart.
  {
    name: 'sequences-not-restored',
    file: 'runtime/task.ts',
    from: 'new Map(Object.entries(saved?.destinations ?? {}))',
    to: 'new Map()',
  },
  {
    name: 'folded-not-restored',
    file: 'runtime/task.ts',
    from: 'resumeChannel(channel, saved?.channels[channelName(channel)] ?? null);',
    to: 'resumeChannel(channel, null);',
  },
  {
    name: 'log-time-not-restored',
    file: 'runtime/task.ts',
    from: 'let logTimeMs = saved?.logTimeMs ?? 0;',
    to: 'let logTimeMs = 0;',
  },
  {
    name: 'running-maximum-not-restored',
    file: 'merge/inbound.ts',
    from: 'let maximumMs = resume.maximumMs;',
    to: 'let maximumMs = 0;',
  },
  {
    name: 'running-maximum-of-the-cursor',
    file: 'merge/inbound.ts',
    from: 'maximumMs: head.maximumBefore,',
    to: 'maximumMs,',
  },
  {
    name: 'resume-at-the-cursor',
    file: 'merge/inbound.ts',
    from: 'if (head !== -1) offset = Math.min(offset, head);',
    to: '',
  },
  {
    name: 'raw-resume-at-the-cursor',
    file: 'merge/inbound.ts',
    from: 'return head === undefined\n',
    to: 'return head !== undefined || head === undefined\n',
  },
  {
    name: 'timers-not-restored',
    file: 'state/task-state.ts',
    from: "[{ first: TIMER_PREFIX, end: '\\u0004', load: timers.load }]",
    to: '[]',
  },
  {
    name: 'stream-time-not-restored',
    file: 'runtime/fold.ts',
    from: 'options.streamTimes[definition.name] ?? Number.NEGATIVE_INFINITY',
    to: 'Number.NEGATIVE_INFINITY',
  },
  // The order of a checkpoint.
  {
    name: 'checkpoint-before-outputs',
    file: 'runtime/checkpoint.ts',
    from: "yield { name: 'outputs', wait: 'acknowledged' };",
    to: '',
  },
  {
    name: 'local-before-changelog',
    file: 'runtime/checkpoint.ts',
    from: '  if (log.topic !== null) {',
    to: "  yield { name: 'local', wait: 'written', operations, dropped: [] };\n  if (log.topic !== null) {",
  },
  {
    name: 'nothing-is-waited-for',
    file: 'runtime/checkpoints.ts',
    from: 'await options.producer.acknowledged();',
    to: '',
  },
  {
    name: 'contents-after-the-wait',
    file: 'runtime/checkpoint.ts',
    from: 'withContents(operations, meta)',
    to: 'withContents(operations, JSON.stringify(task.contents()))',
  },
  {
    name: 'values-of-a-checkpoint-unreadable',
    file: 'state/segment-cells.ts',
    from: 'cell.isFlushing = true;',
    to: '',
  },
  // The hop in memory.
  {
    name: 'hop-takes-out-of-order',
    file: 'merge/handover.ts',
    from: 'if (sequence === last.sequence + 1) {\n    if (handed.digestBefore >>> 0 !== last.digest >>> 0)',
    to: 'if (sequence > last.sequence) {\n    if (sequence === last.sequence + 1 && handed.digestBefore >>> 0 !== last.digest >>> 0)',
  },
  {
    name: 'hop-early-whenever',
    file: 'merge/handover.ts',
    from: 'if (early.first?.order !== channel.last.sequence + 1) return;',
    to: '',
  },
  {
    name: 'hop-checkpoint-before-acknowledgement',
    file: 'runtime/checkpoint.ts',
    from: "yield { name: 'outputs', wait: 'acknowledged' };",
    to: "if (Object.keys(contents.channels).every((name) => name.endsWith('/'))) yield { name: 'outputs', wait: 'acknowledged' };",
  },
  {
    name: 'hop-offset-missing',
    file: 'merge/handover.ts',
    from: 'if (pending !== undefined) pending.offset = offset;',
    to: '',
  },
  {
    name: 'hop-skips-digest-check',
    file: 'merge/handover.ts',
    from: 'if (expected >>> 0 !== digest >>> 0) throw forked(channel, sequence);',
    to: '',
  },
  {
    name: 'hop-resumes-at-the-wrong-offset',
    file: 'merge/inbound.ts',
    from: 'let offset = firstOfLater ?? nextOffset;\n',
    to: 'let offset = nextOffset + channels.reduce((sum, { unseen, queue }) => sum + Math.max(0, unseen.length - queue.length), 0);\n',
  },
  {
    name: 'hop-promises-too-much',
    file: 'runtime/task.ts',
    from: 'acceptTick(channel, boundMs, sequence, clock.nowMs())',
    to: 'acceptTick(channel, boundMs, 0, clock.nowMs())',
  },
  {
    name: 'what-was-forgotten-is-held-for-absent',
    file: 'state/segment-cells.ts',
    from: 'this.#forgotten.add(cell.key);',
    to: '',
  },
  {
    name: 'segments-of-before-held-for-empty',
    file: 'state/entries.ts',
    from: 'stored === null || (stored !== undefined && compareUtf8(own, stored) > 0)',
    to: 'true',
  },
  // The changelog.
  {
    name: 'groups-applied-in-any-order',
    file: 'state/changelog.ts',
    from: "return group.from <= step && step < group.to ? 'apply' : null;",
    to: "return 'apply';",
  },
  {
    name: 'resent-parts-count-again',
    file: 'state/changelog.ts',
    from: 'else if (!parts.has(index)) parts.set(index, this.#keeps ? readPart(record.value, place) : NOTHING);',
    to: 'else parts.set(parts.size, this.#keeps ? readPart(record.value, place) : NOTHING);',
  },
  {
    name: 'a-slow-copy-moves-back',
    file: 'state/changelog.ts',
    from: 'group.from <= step && step < group.to',
    to: 'group.from <= step',
  },
  {
    name: 'deletion-unchecked',
    file: 'runtime/snapshot.ts',
    from: 'if (first === null || !isCounted || step < whole.highest) return;',
    to: 'if (first === null) return;',
  },
  {
    name: 'snapshot-on-top',
    file: 'runtime/restore.ts',
    from: "await backend.clear('', LAST_KEY);\n    let writing",
    to: 'let writing',
  },
  {
    name: 'one-name-for-all-starts',
    file: 'runtime/open-task.ts',
    from: 'const { graph, genesis, physicalName, instance } = options;',
    to: "const { graph, genesis, physicalName } = options; const instance = 'same';",
  },
  // State, timers, retention.
  {
    name: 'failed-writes-stay',
    file: 'runtime/fold.ts',
    from: "      state.rollback(mark);\n      const kind = runtime.hasFailedOutput ? 'output' : 'logic';\n      fail(error, kind, [step]",
    to: "      const kind = runtime.hasFailedOutput ? 'output' : 'logic';\n      fail(error, kind, [step]",
  },
  {
    name: 'failed-outputs-stay',
    file: 'runtime/processor-runtime.ts',
    from: '    this.#clear();\n',
    to: '',
  },
  {
    name: 'ahead-of-all-for-ever',
    file: 'merge/merge.ts',
    from: '(head.logTimeMs < this.#secondMs ||',
    to: '(head.logTimeMs <= this.#secondMs ||',
  },
  {
    name: 'timer-at-the-tick',
    file: 'runtime/task.ts',
    from: 'logTimeMs = Math.max(logTimeMs, timer.atMs);',
    to: 'logTimeMs = Math.max(logTimeMs, timeMs);',
  },
  {
    name: 'timer-after-its-records',
    file: 'runtime/task.ts',
    from: 'if (state.timers.nextLogMs <= timeMs) {',
    to: 'if (state.timers.nextLogMs < timeMs) {',
  },
  {
    name: 'promise-past-a-timer',
    file: 'runtime/task.ts',
    from: 'Math.min(merge.bound(), state.timers.nextLogMs)',
    to: 'merge.bound()',
  },
  {
    name: 'timers-in-order-of-setting',
    file: 'state/timer-queue.ts',
    from: '  compareUtf8(a.key, b.key) ||\n',
    to: '',
  },
  {
    name: 'event-time-after-the-record',
    file: 'runtime/fold.ts',
    from: 'const timer = state.timers.takeEvent(name, eventTimeMs);',
    to: 'const timer = state.timers.takeEvent(name, before);',
  },
  {
    name: 'retention-too-short-by-one',
    file: 'state/key-value.ts',
    from: 'entry.writtenMs + retentionMs < access.context.logTimeMs',
    to: 'entry.writtenMs + retentionMs <= access.context.logTimeMs',
  },
  {
    name: 'segment-dropped-too-early',
    file: 'state/key-value.ts',
    from: 'entries.dropBelow(previous);',
    to: 'entries.dropBelow(prefix(segment));',
  },
  // Windows.
  {
    name: 'open-windows-not-loaded',
    file: 'windows/window-store.ts',
    from: 'load: slices.load,',
    to: 'load: () => {},',
  },
  {
    name: 'a-window-without-its-last-slice',
    file: 'windows/window-store.ts',
    from: 'for (let atMs = startMs; atMs < endMs; atMs += grid.sliceMs) {\n      const slice',
    to: 'for (let atMs = startMs; atMs < endMs - grid.sliceMs; atMs += grid.sliceMs) {\n      const slice',
  },
  {
    name: 'quiet-windows-stay-open',
    file: 'windows/closing.ts',
    from: "if (usesLog) timers.set('log', key, endMs + logGraceMs);",
    to: '',
  },
  {
    name: 'stream-time-closes-nothing',
    file: 'windows/closing.ts',
    from: 'return usesEvent ? Math.max(byLogMs, context.streamTimeMs - graceMs) : byLogMs;',
    to: 'return byLogMs;',
  },
  // Versions.
  {
    name: 'old-version-goes-on',
    file: 'runtime/task.ts',
    from: 'isCutTo(decision, genesis)',
    to: 'isCutTo(decision, undefined)',
  },
  {
    name: 'cut-checkpoint-missing',
    file: 'runtime/checkpoint.ts',
    from: 'if (task.step === log.lastStep) return log.lastStep;',
    to: 'if (task.step === log.lastStep || task.ended !== null) return log.lastStep;',
  },
  {
    name: 'ended-before-its-checkpoint',
    file: 'runtime/checkpoints.ts',
    from: 'task.ended !== null && log.lastStep === task.step',
    to: 'task.ended !== null && log.lastStep >= 0',
  },
  {
    name: 'new-version-starts-before-the-cut',
    file: 'runtime/open-task.ts',
    from: "if (standing !== 'ready') {",
    to: "if (standing === 'over') {",
  },
  {
    name: 'what-is-decided-while-it-runs-stays-unknown',
    file: 'runtime/open-task.ts',
    from: "isPipelineError(error, 'FINGERPRINT_CHANGED') || genesis.versions === undefined",
    to: "isPipelineError(error, 'FINGERPRINT_CHANGED') || true",
  },
  {
    name: 'a-wait-for-the-cut-holds-the-others',
    file: 'runtime/assigning.ts',
    from: "if (opened === 'early') early.push(id);",
    to: "if (opened === 'early') coming.unshift(id);",
  },
  {
    name: 'ended-while-a-task-is-on-its-way',
    file: 'runtime/processing.ts',
    from: 'if (!assignment.isSettled || !kept.every(isAtCut)) return;',
    to: 'if (!kept.every(isAtCut)) return;',
  },
  {
    name: 'group-ends-short-of-the-cut',
    file: 'plan/short.ts',
    from: 'if (late.length === 0) return true;',
    to: 'return true;',
  },
  {
    name: 'old-version-takes-newer-state',
    file: 'plan/beginning.ts',
    from: "if (saved.epoch > epoch) return 'over';",
    to: "if (saved.epoch > epoch) return 'ready';",
  },
  {
    name: 'lower-epoch-not-dropped',
    file: 'merge/inbound.ts',
    from: 'if (channel === undefined && position.epoch < epoch) return true;',
    to: '',
  },
  {
    name: 'records-of-new-writers-passed-over',
    file: 'merge/inbound.ts',
    from: 'firstOfLater ??= record.offset;',
    to: '',
  },
  {
    name: 'epoch-not-raised',
    file: 'runtime/task.ts',
    from: '    epoch: genesis.epoch,\n    controlTopic',
    to: '    epoch: 1,\n    controlTopic',
  },
  {
    name: 'dropped-state-stays',
    file: 'runtime/open-task.ts',
    from: 'await crossCuts(backend, genesis, saved.epoch, genesis.epoch);',
    to: '{}',
  },
  {
    name: 'dropped-state-comes-back',
    file: 'runtime/restore.ts',
    from: 'await crossCuts(backend, options, before.epoch, after.epoch);',
    to: '{}',
  },
  {
    name: 'table-of-a-new-reader-begins-late',
    file: 'plan/beginning.ts',
    from: 'return { offset: startOffsets.get(name) ?? 0, maximumMs: cut.logTimeMs, digest: 0 };',
    to: 'return { offset: startOffsets.get(name) ?? 0, maximumMs: 0, digest: 0 };',
  },
  // Records that kill the process.
  {
    name: 'passed-over-though-it-was-folded',
    file: 'poison/verdict.ts',
    from: 'if (evidence !== null) {',
    to: 'if (evidence === undefined) {',
  },
  {
    name: 'marked-after-it-was-folded',
    file: 'poison/search.ts',
    from: "      present = mark;\n      notes.write('mark', JSON.stringify(mark));\n    },\n    after: () => {\n      notes.remove('mark');",
    to: "      present = mark;\n    },\n    after: () => {\n      notes.write('mark', JSON.stringify(present));",
  },
  {
    name: 'one-who-folded-it-goes-on',
    file: 'poison/gate.ts',
    from: 'if (isLive && at().step > skip.step && ',
    to: 'if (false && ',
  },
  {
    name: 'skips-of-the-plan-not-read-at-the-start',
    file: 'runtime/open-task.ts',
    from: 'skips: genesis.skips ?? [],',
    to: '',
  },
  {
    name: 'skip-forgotten-by-the-checkpoint',
    file: 'runtime/task.ts',
    from: 'skipped: saved?.skipped ?? [],',
    to: 'skipped: [],',
  },
  {
    name: 'passed-over-in-every-task',
    file: 'poison/gate.ts',
    from: 'if (skip.writer !== writer) return;',
    to: '',
  },
  {
    name: 'dead-letter-of-a-skip-left-out',
    file: 'runtime/fold.ts',
    from: "metrics.add('skips_total', { subtopology: node.name });",
    to: 'return true;',
  },
  // Forced cuts.
  {
    name: 'what-is-behind-a-fence-is-heard',
    file: 'merge/inbound.ts',
    from: 'if (isFencedOff(channel.fences, position.epoch, record.offset)) return true;',
    to: '',
  },
  {
    name: 'fences-not-restored',
    file: 'merge/channel.ts',
    from: 'channel.fences = point?.fences ?? [];',
    to: '',
  },
  {
    name: 'old-version-reads-on-behind-a-fence',
    file: 'merge/inbound.ts',
    from: 'if (position.epoch > epoch) throw fencedOff(place, position, epoch);',
    to: '',
  },
  {
    name: 'sequences-by-decree-from-the-checkpoint',
    file: 'plan/decree.ts',
    from: '...Object.fromEntries(tails.map(',
    to: '...Object.fromEntries(tails.slice(0, 0).map(',
  },
  {
    name: 'tail-is-the-last-and-not-the-highest',
    file: 'plan/fencing.ts',
    from: 'else if (isHeard && sequence > tail.sequence) {',
    to: 'else if (isHeard) {',
  },
  {
    name: 'what-was-not-folded-by-decree-is-passed-over',
    file: 'plan/decree.ts',
    from: '{ ...withFenceAt(point, version, fences.get(name)), floorMs: logTimeMs }',
    to: 'withFenceAt(point, version, fences.get(name))',
  },
  {
    name: 'last-checkpoint-after-the-fence',
    file: 'plan/force.ts',
    from: 'await closeChangelogs(options, producer, version, short);',
    to: '',
  },
  {
    name: 'a-closed-changelog-still-counts',
    file: 'state/changelog.ts',
    from: 'if (this.#closings.length > 0 && this.closingAfter(epochOf(meta)) !== null) return null;',
    to: '',
  },
  {
    name: 'a-folder-counts-behind-a-closing',
    file: 'runtime/restore.ts',
    from: 'if (closing !== null && isFolderUsed) return false;',
    to: '',
  },
  {
    name: 'a-closing-is-read-past',
    file: 'runtime/restore.ts',
    from: 'closing?.offset ?? next',
    to: 'next',
  },
  {
    name: 'sink-hears-what-is-behind-a-fence',
    file: 'runtime/delivery.ts',
    from: 'if (sequence <= last.sequence || !isHeard) {',
    to: 'if (sequence <= last.sequence) {',
  },
  // Delivery.
  {
    name: 'sink-takes-duplicates',
    file: 'runtime/delivery.ts',
    from: 'if (sequence <= last.sequence || !isHeard) {',
    to: 'if (sequence < last.sequence || !isHeard) {',
  },
  // What is excluded.
  {
    name: 'excluded-is-waited-for',
    file: 'merge/inbound.ts',
    from: 'if (excluded?.has(channel.writer) === true) channel.frontierMs = Number.POSITIVE_INFINITY;',
    to: '',
  },
  {
    name: 'excluded-is-not-folded-to-its-fence',
    file: 'plan/decree.ts',
    from: 'offset === undefined ? point :',
    to: 'offset !== undefined ? point :',
  },
  {
    name: 'excluded-still-runs',
    file: 'runtime/processing.ts',
    from: 'wanted.filter((task) => running.has(taskName(task)))',
    to: 'wanted.filter((task) => running.has(taskName(task)) || true)',
  },
  {
    name: 'excluded-partition-still-waited-for',
    file: 'runtime/task.ts',
    from: 'graph.channels(id).filter((channel) => !excluded.has(partitionOf(channel)))',
    to: 'graph.channels(id)',
  },
  {
    name: 'excluded-partition-loses-its-place',
    file: 'runtime/task-inbounds.ts',
    from: '.filter(([name]) => excluded.has(name))',
    to: '.filter(() => false)',
  },
  {
    name: 'what-was-not-folded-keeps-its-time',
    file: 'runtime/task-inbounds.ts',
    from: 'Math.max(maximumMs, cutMs)',
    to: 'maximumMs',
  },
  {
    name: 'excluded-is-over-before-its-fence',
    file: 'merge/inbound.ts',
    from: 'if (fence === undefined || fence.offset < nextOffset) goOnWithout(channel);',
    to: 'goOnWithout(channel);',
  },
  {
    name: 'returned-before-all-are-there',
    file: 'plan/exclude.ts',
    from: 'if (coming.length === 0) return forceCut(options);',
    to: 'return forceCut(options);',
  },
];

export interface BugVerdict {
  readonly bug: PlantedBug;
  /** Schedules until it was caught; null: it was not. */
  readonly after: number | null;
  readonly message: string;
}

const root = join(import.meta.dirname, '..');

/** Text of the file with the fault in it. Throws when the line is not there exactly once. */
export function plant(bug: PlantedBug, text: string): string {
  const count = text.split(bug.from).length - 1;
  if (count !== 1)
    throw new Error(
      `${bug.name}: expected its line once in pipeline/${bug.file}, found it ${count} times; correct the list`,
    );
  return text.replace(bug.from, () => bug.to);
}

/** Plants one fault in a copy of the engine and simulates until it shows. */
export async function tryBug(bug: PlantedBug, schedules: number, seed: number): Promise<BugVerdict> {
  const folder = await mkdtemp(join(tmpdir(), 'baleen-bug-'));
  try {
    for (const name of ['pipeline', 'schemas', 'package.json', 'scripts/simulate.ts'])
      await cp(join(root, name), join(folder, name), { recursive: true });
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    const file = join(folder, 'pipeline', bug.file);
    await writeFile(file, plant(bug, await readFile(file, 'utf8')));
    const given = ['--schedules', schedules, '--seed', seed, '--workers', 1, '--violations', 1, '--json'];
    const { code, output } = await run([join(folder, 'scripts/simulate.ts'), ...given.map(String)]);
    if (code === 0) return { bug, after: null, message: '' };
    try {
      const result = JSON.parse(output) as SimulationResult;
      return { bug, after: result.schedules, message: result.violations[0]?.message.split('\n')[0] ?? '' };
    } catch {
      return { bug, after: 1, message: output.trim().split('\n').at(-1) ?? '' };
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(given: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, given, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      errors += bytes.toString();
    });
    child.once('close', (code) => resolve({ code, output: output === '' ? errors : output }));
  });
}

const HELP = `Usage: planted-bugs [--bug NAME] [--schedules N] [--seed S]
  --bug NAME     only this one (may be repeated)
  --schedules N  most schedules for each (default 1000)
  --seed S       of the first schedule (default 1)`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      bug: { type: 'string', multiple: true },
      schedules: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const chosen = PLANTED_BUGS.filter(({ name }) => values.bug?.includes(name) ?? true);
  const verdicts: BugVerdict[] = [];
  const waiting = [...chosen];
  const worker = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const verdict = await tryBug(bug, Number(values.schedules), Number(values.seed)).catch(
        (error: unknown): BugVerdict => ({ bug, after: null, message: String(error) }),
      );
      verdicts.push(verdict);
      const { after, message } = verdict;
      const said = after === null ? 'MISSED' : `caught after ${String(after).padStart(3)}`;
      process.stdout.write(`${bug.name.padEnd(36)} ${said}  ${message.slice(0, 100)}\n`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
  const missed = verdicts.filter(({ after }) => after === null);
  const soon = verdicts.filter(({ after }) => after !== null && after <= 10);
  process.stdout.write(
    `${verdicts.length - missed.length} of ${verdicts.length} caught, ${soon.length} within 10 schedules\n`,
  );
  return missed.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
