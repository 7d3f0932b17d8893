/** Faults in versions, forced cuts and exclusion. */
import type { PlantedBug } from './bug.ts';

export const VERSION_BUGS: readonly PlantedBug[] = [
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
