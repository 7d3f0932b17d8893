/**
 * The strict test of a fold (engine rules, section 14): beside the task that runs on, each record is folded once more by
 * a copy that was opened from the state in text, just before it. Both must write the same.
 */
import { PipelineError } from '#pipeline/errors.ts';
import { channelName } from '#pipeline/merge/channel.ts';
import { comparableText } from '#pipeline/runtime/facts.ts';
import type { Task } from '#pipeline/runtime/task.ts';
import { META_KEY } from '#pipeline/state/task-state.ts';
import { Disk } from './disk.ts';
import { type OpenOptions, openCopy, type Sent } from './open.ts';
import { recordLine } from './streams.ts';

export interface Shadow {
  /** State of the task after its last step, in text. */
  readonly disk: Disk;
  /** The task folded one record or timer and wrote `sent`. Throws INVARIANT_BROKEN when the copy does not do the same. */
  follow(original: Task, sent: readonly Sent[]): void;
  /** A checkpoint was taken. Throws INVARIANT_BROKEN when its state is not that of the copies. */
  compare(saved: Disk): void;
}

const HINT =
  'what decides must be in the record or in a store; values are never changed in place; no clock, no random number, no variable beside the stores';

export function createShadow(options: Omit<OpenOptions, 'send'>): Shadow {
  const { id, node, world } = options;
  const disk = new Disk(options.disk);
  const name = `${id.subTopology}-${id.partition}`;
  /** First key of a range that a store gave up -> its end. */
  const dropped = new Map<string, string>();

  const fail = (place: string, expected: string, found: string): never => {
    throw new PipelineError(
      'INVARIANT_BROKEN',
      `${name}: after ${place} a task opened from the stored state differs from the one that ran on: it has ${expected}, the other has ${found}; ${HINT}`,
    );
  };

  /** The record or timer that was folded last. */
  const placeOf = (task: Task, before: Task['logTimeMs'], lastBefore: string): string => {
    const { lastKey } = task.contents();
    const channel = world.graph.channels(id)[lastKey.rank];
    if (channel === undefined || JSON.stringify(lastKey) === lastBefore)
      return `a timer at ${Math.max(before, task.logTimeMs)}`;
    return channel.writer === ''
      ? `${channel.topic}/${channel.partition}/${lastKey.order}`
      : `${channelName(channel)}:${lastKey.order}`;
  };

  const textOf = (sent: Sent | undefined): string => {
    if (sent === undefined) return 'nothing';
    const topic = node.outputs.find((output) => output.name === sent.topic);
    const { key, value } = sent.entry;
    const shown = topic && value ? comparableText(world.serde.decode(topic, value)) : 'bytes';
    return `${sent.topic} ${key?.toString() ?? ''} ${shown}`;
  };

  return {
    disk,
    follow: (original, sent) => {
      const copied: Sent[] = [];
      const copy = openCopy({ ...options, disk, send: (one) => copied.push(one) }, original);
      const [timeBefore, lastBefore] = [copy.task.logTimeMs, JSON.stringify(copy.task.contents().lastKey)];
      const place = () => placeOf(original, timeBefore, lastBefore);
      if (!copy.step()) fail(place(), 'nothing to fold', 'a record or timer');
      for (let index = 0; index < Math.max(sent.length, copied.length); index += 1) {
        const [mine, theirs] = [copied[index], sent[index]];
        if (lineOf(mine) !== lineOf(theirs)) fail(place(), textOf(mine), textOf(theirs));
      }
      const [mine, theirs] = [progressOf(copy.task), progressOf(original)];
      if (mine !== theirs) fail(place(), mine, theirs);
      for (const [first, end] of copy.save()) dropped.set(first, end);
    },
    compare: (saved) => {
      const [mine, theirs] = [without(disk, dropped), without(saved, dropped)];
      const key = [...mine.keys(), ...theirs.keys()].find((one) => mine.get(one) !== theirs.get(one));
      if (key === undefined) return;
      const shown = JSON.stringify(key);
      fail(
        'the last step',
        `${shown}: ${mine.get(key) ?? 'nothing'}`,
        `${shown}: ${theirs.get(key) ?? 'nothing'}`,
      );
    },
  };
}

const lineOf = (sent: Sent | undefined): string =>
  sent === undefined ? '' : `${sent.topic}/${sent.partition} ${recordLine(sent.entry)}`;

/** What a checkpoint says of both alike: resume offsets depend on how far each has read. */
const progressOf = (task: Task): string => {
  const { step, logTimeMs, lastKey, streamTimes } = task.contents();
  return JSON.stringify({ step, logTimeMs, lastKey, streamTimes });
};

/** The state itself, without what nobody will ask for again: when that is dropped differs. */
const without = (disk: Disk, dropped: ReadonlyMap<string, string>): ReadonlyMap<string, string> => {
  const left = new Disk(disk);
  for (const [first, end] of dropped) left.clear(first, end);
  left.write([{ key: META_KEY, value: null }]);
  return new Map(left.scan());
};
