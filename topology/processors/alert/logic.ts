/** Scores against rules (analytics, section 2): thresholds are exact and strict. */
import { compareDecimals, isDecimalText } from '#pipeline/amounts.ts';
import { PipelineError } from '#pipeline/errors.ts';
import type { InputRecord, ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import type { Rule } from '#schemas/rule.ts';
import type { Score } from '#schemas/score.ts';
import { alerts } from '#schemas/topics.ts';
import { alertText } from './text.ts';

/** A rule as kept; `overRaw` is decimal text. */
export type KnownRule = {
  readonly id: string;
  readonly overRaw: string | null;
  readonly overUsd: string | null;
  readonly text: string;
};

export const stores = {
  /** `<chain>:<asset>`: its rules, sorted by id. */
  rules: keyValue<readonly KnownRule[]>(),
  /** `<rule id>`: the `<chain>:<asset>` under which it is kept; a withdrawal names only the rule. */
  homes: keyValue<string>(),
};

type Context = ProcessContext<typeof stores>;

function withdraw(id: string, { stores: { rules, homes } }: Context): void {
  const home = homes.get(id);
  if (home === undefined) return;
  const kept = (rules.get(home) ?? []).filter((rule) => rule.id !== id);
  if (kept.length === 0) rules.delete(home);
  else rules.put(home, kept);
  homes.delete(id);
}

/** Keeps a rule in place of an earlier one of its id; a tombstone withdraws it. */
export function learnRule({ key, value }: InputRecord<Rule>, context: Context): void {
  if (value?.overUsd != null && !isDecimalText(value.overUsd)) {
    throw new PipelineError(
      'VALUE_UNREADABLE',
      `rule ${key}: overUsd: expected decimal text such as 250000, found ${value.overUsd.slice(0, 40)}; correct the rule`,
    );
  }
  withdraw(key, context);
  if (value === null) return;
  const { rules, homes } = context.stores;
  // Addresses of EVM chains are lower case in transfers, whatever the author of a rule writes.
  const asset = value.asset.startsWith('0x') ? value.asset.toLowerCase() : value.asset;
  const home = `${value.chain}:${asset}`;
  const rule: KnownRule = {
    id: key,
    overRaw: value.overRaw?.toString() ?? null,
    overUsd: value.overUsd,
    text: value.text,
  };
  rules.put(
    home,
    [...(rules.get(home) ?? []), rule].sort((a, b) => (a.id < b.id ? -1 : 1)),
  );
  homes.put(key, home);
}

/** Does a rule fire? Either threshold is enough; an unknown USD value is over none. */
export const isOver = (rule: KnownRule, { amountRaw, usd }: Pick<Score, 'amountRaw' | 'usd'>): boolean =>
  (rule.overRaw !== null && amountRaw > BigInt(rule.overRaw)) ||
  (rule.overUsd !== null && usd !== null && compareDecimals(usd, rule.overUsd) > 0);

/** Emits an alert for each rule that fires, in the order of rule ids. */
export function alert({ key, value, place }: InputRecord<Score>, context: Context): void {
  if (value === null) {
    throw new PipelineError('VALUE_UNREADABLE', `score ${key}: expected a value, found a tombstone`);
  }
  const transferId = value.id.startsWith('score:') ? value.id.slice('score:'.length) : value.id;
  for (const rule of context.stores.rules.get(`${value.chain}:${value.asset}`) ?? []) {
    if (!isOver(rule, value)) continue;
    const { components, logOdds: _logOdds, version: _version, ...moved } = value;
    context.emit(alerts, key, {
      ...moved,
      id: `${rule.id}:${transferId}`,
      causes: [place],
      ruleId: rule.id,
      evidence: components,
      text: alertText(value, rule.text),
    });
  }
}
