/** The plan of a simulated world: its genesis, and the cut to version 2. */

import type { KafkaRecord } from '#pipeline/kafka/types.ts';
import { decodeDecision, encodeDecision, type PlacedDecision } from '#pipeline/plan/decisions.ts';
import { type Version, versionsOf } from '#pipeline/plan/versions.ts';
import { type Skip, skipsOf } from '#pipeline/poison/skips.ts';
import { type Plan, UNSAID } from '#schemas/plan.ts';
import type { SimulatedLog } from './log.ts';
import { DROPPED } from './logic.ts';
import { a, b, descriptions, graphs, planTopic, serde } from './topology.ts';

/** Of the version that begins with an epoch. */
export const fingerprintOf = (epoch: number): string => `version ${epoch}`;

/** As who starts now reads them. */
export const readVersions = (log: SimulatedLog): readonly Version[] => versionsOf(decisionsOf(log));
export const readSkips = (log: SimulatedLog): readonly Skip[] => skipsOf(decisionsOf(log));

function decisionsOf(log: SimulatedLog): readonly PlacedDecision[] {
  let logTimeMs = 0;
  const { name } = planTopic;
  return log.partition(name, 0).records.flatMap(({ offset, timestampMs, value }) => {
    logTimeMs = Math.max(logTimeMs, timestampMs);
    if (value === null) return [];
    return [{ offset, logTimeMs, decision: decodeDecision(serde, planTopic, value, name) }];
  });
}

/** The version that began with the first record begins anew without these, as `baleen exclude` and `baleen return` do. */
export function decideWithout(log: SimulatedLog, epoch: number, excluded: readonly string[]): void {
  append(log, {
    ...UNSAID,
    kind: 'cut',
    epoch,
    fingerprint: fingerprintOf(1),
    atMs: 0,
    description: JSON.stringify(descriptions[0]),
    excluded: [...excluded],
  });
}

/** A record of another world's plan, without what was forced there: a tick in its place. Others as they are. */
export const unforced = (record: KafkaRecord): KafkaRecord =>
  record.key?.toString() === 'force' ? { ...record, key: null, value: null } : record;

/** Appends a decision, as `baleen upgrade` does. */
export function decide(log: SimulatedLog, kind: 'genesis' | 'cut', epoch: number): void {
  const ends = [a, b].flatMap(({ name }) =>
    (log.topics.get(name) ?? []).map(
      ({ records }, partition) => [`${name}/${partition}`, BigInt(records.length)] as const,
    ),
  );
  const processors = graphs[0].nodes.flatMap((node) => node.processors.map(({ name }) => name));
  const dropped = processors.flatMap((name) => DROPPED.map((store) => `${name}.${store}`));
  append(log, {
    ...UNSAID,
    kind,
    epoch,
    fingerprint: fingerprintOf(epoch),
    startOffsets: kind === 'genesis' ? {} : Object.fromEntries(ends),
    atMs: 0,
    description: JSON.stringify(descriptions[epoch - 1]),
    dropped: kind === 'genesis' ? [] : dropped,
  });
}

function append(log: SimulatedLog, decision: Plan): void {
  const value = encodeDecision(serde, planTopic, decision);
  log.append(planTopic.name, 0, { timestampMs: 0, key: null, value, headers: [] });
}
