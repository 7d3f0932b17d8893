/** `baleen plan`: what was decided, in the order in which it holds. */
import type { PlacedDecision } from '#pipeline/plan/decisions.ts';
import { shortVersion } from '#pipeline/runtime/plan.ts';
import { type Io, processIo } from './io.ts';
import { withPlan } from './plan-access.ts';
import { stripped } from './printable.ts';
import { timestamp } from './quantities.ts';
import type { SettingSources } from './settings.ts';

export interface PlanOptions {
  readonly dataDir: string;
  readonly json: boolean;
  readonly sources: SettingSources;
}

/** Returns the exit code. */
export async function plan(options: PlanOptions, io: Io = processIo): Promise<number> {
  const say = (text: string) => options.json || io.error(text);
  const { decisions } = await withPlan({ ...options, say }, async (access) => access);
  if (options.json) {
    const plain = decisions.map(({ offset, logTimeMs, decision }) => ({
      offset,
      logTimeMs,
      ...decision,
      description: decision.description === null ? null : JSON.parse(decision.description),
    }));
    io.out(JSON.stringify(plain, (_, value) => (typeof value === 'bigint' ? Number(value) : value), 2));
    return 0;
  }
  for (const decision of decisions) io.out(decisionLine(decision));
  if (decisions.length === 0) io.out('nothing ran yet in this Kafka');
  return 0;
}

/** One line; its time is where it holds in the order of everything. */
export function decisionLine({ logTimeMs, decision }: PlacedDecision): string {
  const { kind, note, skip, tasks, excluded } = decision;
  const without = excluded.length === 0 ? '' : ` without ${excluded.join(', ')}`;
  const forTasks = tasks.length === 0 ? '' : ` for ${tasks.join(', ')}`;
  const what =
    skip === null
      ? `version ${shortVersion(decision)}${without}${forTasks}`
      : `${skip.writer} passes over ${stripped(skip.place)} of ${timestamp(skip.logTimeMs)}${skip.processor === '' ? '' : `, in ${skip.processor}`}`;
  return `${timestamp(logTimeMs)}  ${kind.padEnd(7)}  ${what}${note === null ? '' : `: ${stripped(note)}`}`;
}
