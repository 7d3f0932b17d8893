/** Faults in what a restart relies on. */
import type { PlantedBug } from './bug.ts';

export const RESTART_BUGS: readonly PlantedBug[] = [
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
];
