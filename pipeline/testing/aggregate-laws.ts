/** What every aggregate must keep to, whatever it counts: for the tests of each. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Aggregate } from '#pipeline/aggregates/aggregate.ts';

const MAX_INPUTS = 24;
const PARTS = 4;

interface Step<In> {
  readonly input: In;
  /** Which of the parts takes it. */
  readonly part: number;
  /** The state goes through its text first, as in a restart. */
  readonly isRestarted: boolean;
  readonly isRemoved: boolean;
}

/**
 * Throws with the seed when one is broken: any order, split and merge of inputs equals one fold; taking out again equals
 * never having put in; a state read from its text is the state; no state is changed in place. Equal means the same result
 * and the same text.
 */
export function checkAggregateLaws<In, State, Out>(
  aggregate: Aggregate<In, State, Out>,
  inputs: fc.Arbitrary<In>,
): void {
  const { zero, codec } = aggregate;
  const shown = (state: State) => ({ text: codec.encode(state), result: aggregate.result(state) });
  const fold = (list: readonly In[]): State =>
    list.reduce((state, input) => aggregate.add(state, input), zero);
  const step: fc.Arbitrary<Step<In>> = fc.record({
    input: inputs,
    part: fc.nat(PARTS - 1),
    isRestarted: fc.boolean(),
    isRemoved: fc.boolean(),
  });
  const property = (steps: readonly Step<In>[], mergeOrder: readonly number[]) => {
    const seen: (readonly [state: State, text: string])[] = [];
    const note = (state: State): State => {
      seen.push([state, codec.encode(state)]);
      return state;
    };
    const restart = (state: State): State => {
      const again = codec.decode(codec.encode(state));
      expect(shown(again)).toStrictEqual(shown(state));
      return again;
    };

    const parts = Array.from({ length: PARTS }, () => zero);
    for (const { input, part, isRestarted } of steps) {
      const state = parts[part] ?? zero;
      parts[part] = note(aggregate.add(isRestarted ? restart(state) : state, input));
    }
    const [one = zero, two = zero, three = zero, four = zero] = mergeOrder.map((part) => parts[part] ?? zero);
    // A tree, and beside it a chain.
    const merged = note(aggregate.merge(note(aggregate.merge(one, two)), note(aggregate.merge(three, four))));
    const chained = aggregate.merge(one, restart(aggregate.merge(aggregate.merge(four, three), two)));
    const all = fold(steps.map(({ input }) => input));
    expect(shown(merged)).toStrictEqual(shown(all));
    expect(shown(chained)).toStrictEqual(shown(all));
    expect(shown(fold(steps.map(({ input }) => input).reverse()))).toStrictEqual(shown(all));
    expect(shown(aggregate.merge(zero, all))).toStrictEqual(shown(all));
    expect(shown(aggregate.merge(all, zero))).toStrictEqual(shown(all));

    const { remove } = aggregate;
    if (remove !== null) {
      let left = merged;
      for (const { input, isRemoved, isRestarted } of steps) {
        if (isRemoved) left = note(remove(isRestarted ? restart(left) : left, input));
      }
      const kept = steps.filter(({ isRemoved }) => !isRemoved).map(({ input }) => input);
      expect(shown(left)).toStrictEqual(shown(fold(kept)));
    }
    for (const [state, text] of seen) expect(codec.encode(state)).toBe(text);
  };
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: MAX_INPUTS }),
      fc.shuffledSubarray([0, 1, 2, 3], { minLength: PARTS, maxLength: PARTS }),
      property,
    ),
  );
}
