import { describe, expect, test } from 'vitest';
import { isPipelineError } from '#pipeline/errors.ts';
import { defineProcessor, type InputRecord, keyed, type ProcessContext } from '#pipeline/processor.ts';
import { keyValue } from '#pipeline/state/key-value.ts';
import type { Codec, StoreDeclaration } from '#pipeline/state/store.ts';
import { logTimer } from '#pipeline/state/timer.ts';
import { versioned } from '#pipeline/state/versioned.ts';
import { createDriver } from '../driver.ts';
import { aNote, copying, texts, topic } from './fixture.ts';
import { deepFreeze } from './strict.ts';

const raw = topic('raw', 'raw', 1);
const out = topic('out', 'derived', 1);
const next = topic('next', 'derived', 1);

type Value = { seen: string[]; readonly at?: number };
const mapCodec: Codec<Map<string, number>> = {
  encode: (map) => JSON.stringify([...map]),
  decode: (text) => new Map(JSON.parse(text)),
};
const stores = {
  values: keyValue<Value>(),
  maps: keyValue<Map<string, number>>({ codec: mapCodec }),
  numbers: keyValue<number>(),
  versions: versioned<{ readonly text: string }>({ retentionMs: 10 }),
  wait: logTimer(),
};
type Context = ProcessContext<typeof stores>;

/** Three records, one millisecond apart, through a processor whose logic is given. */
function run(
  process: (record: InputRecord<ReturnType<typeof aNote>>, context: Context) => void,
  strict = true,
  fire: (context: Context) => void = () => {},
) {
  const processor = defineProcessor({
    name: 'work',
    summary: 'works',
    stores,
    keepsKey: true,
    inputs: [keyed(raw, process)],
    onTimer: { wait: (_timer, context) => fire(context) },
    outputs: [out],
  });
  const driver = createDriver({ processors: [processor, copying('copy', [out], next)], strict });
  for (const text of ['x', 'y', 'z']) {
    driver.write(raw, { key: 'k', value: aNote(text) });
    driver.advanceBy(1);
  }
  driver.checkpoint();
  return driver;
}

const say = ({ emit }: Context, text: string) => emit(out, 'k', aNote(text));

describe('a strict driver names who changes', () => {
  test.each<[string, Parameters<typeof run>[0]]>([
    [
      'a stored value that it read',
      (_record, { stores: { values } }) => {
        const value = values.get('k') ?? { seen: [] };
        value.seen.push('x');
        values.put('k', value);
      },
    ],
    [
      'a value that it has put',
      (_record, { stores: { values } }) => {
        const value: Value = { seen: [] };
        values.put('k', value);
        value.seen = ['x'];
      },
    ],
    [
      'a version that it has put',
      ({ eventTimeMs }, { stores: { versions } }) => {
        const value = { text: 'x' };
        versions.put('k', eventTimeMs, value);
        value.text = 'y';
      },
    ],
    ['the record that it was given', ({ value }) => Object.assign(value ?? {}, { text: 'changed' })],
    [
      'what it has emitted',
      (_record, { emit }) => {
        const note = aNote('x');
        emit(out, 'k', note);
        Object.assign(note, { text: 'y' });
      },
    ],
  ])('%s', (_, process) => {
    expect(() => run(process)).toThrow(
      expect.toSatisfy(
        (error) =>
          isPipelineError(error, 'INVARIANT_BROKEN') &&
          error.message.startsWith('work: changes a value that was read, stored or emitted: Cannot'),
      ),
    );
    expect(run(process, false).deadLetters()).toEqual([]);
  });

  test('a stored value, in a timer', () => {
    const set = (_record: unknown, { stores: { values, wait } }: Context) => {
      values.put('k', { seen: [] });
      wait.set('k', 0);
    };
    const fire = ({ stores: { values } }: Context) => values.get('k')?.seen.push('x');
    expect(() => run(set, true, fire)).toThrow('work: changes a value');
  });

  test('an error of the logic itself stays a dead letter', () => {
    const driver = run(({ value }) => {
      if (value?.text === 'y') (undefined as unknown as { x(): void }).x();
    });
    expect(driver.deadLetters()).toMatchObject([{ code: 'LOGIC_FAILED', component: 'work' }]);
  });
});

describe('a strict driver finds what a restart would change', () => {
  let made = 0;
  test.each<[string, Parameters<typeof run>[0], string]>([
    [
      'a variable beside the stores',
      (_record, context) => {
        made += 1;
        say(context, String(made));
      },
      'after raw/0/0 a task opened from the stored state differs from the one that ran on',
    ],
    ['a random number', (_record, context) => say(context, String(Math.random())), 'after raw/0/0'],
    [
      'a number of outputs that differs',
      (_record, context) => {
        made += 1;
        if (made % 2 === 0) say(context, 'even');
      },
      'after raw/0/0',
    ],
    [
      'a map that is changed in place',
      ({ value }, context) => {
        const { maps } = context.stores;
        const map = maps.get('k') ?? new Map<string, number>();
        if (map.size === 0) maps.put('k', map);
        map.set(value?.text ?? '', 1);
        say(context, String(map.size));
      },
      // The first put is written with what was added to it; the second change is not.
      'after raw/0/4 a task opened from the stored state differs from the one that ran on: it has out k {"eventTimeMs":0,"text":"2"}, the other has out k {"eventTimeMs":0,"text":"3"}',
    ],
    [
      'a value that JSON does not keep',
      (_record, context) => {
        const { numbers } = context.stores;
        say(context, String(numbers.get('k')));
        numbers.put('k', Number.NaN);
      },
      'after raw/0/2',
    ],
  ])('%s', (_, process, message) => {
    expect(() => run(process)).toThrow(message);
    expect(() => run(process, false)).not.toThrow();
  });

  test('state that differs and was not yet seen, at the next checkpoint', () => {
    expect(() => run((_record, { stores: { numbers } }) => numbers.put('k', Math.random()))).toThrow(
      'after the last step a task opened from the stored state differs',
    );
  });

  test('a timer whose firing differs, by its log time', () => {
    const set = ({ logTimeMs }: { logTimeMs: number }, { stores: { wait } }: Context) =>
      wait.set('k', logTimeMs + 1);
    expect(() => run(set, true, (context) => say(context, String(Math.random())))).toThrow(
      'after a timer at 1 a task',
    );
  });

  test('memory beside the entries that is not loaded again', () => {
    const forgetting: StoreDeclaration<{ add(): number }> = {
      kind: 'forgetting',
      settings: null,
      open: ({ entries }) => {
        entries<string>({ encode: (text) => text, decode: (text) => text });
        let sum = 0;
        return {
          handle: {
            add: () => {
              sum += 1;
              return sum;
            },
          },
        };
      },
    };
    const sums = { sums: forgetting };
    const processor = defineProcessor({
      name: 'sum',
      summary: 'sums',
      stores: sums,
      inputs: [
        keyed(raw, (_record, { stores: own, emit }: ProcessContext<typeof sums>) =>
          emit(out, 'k', aNote(String(own.sums.add()))),
        ),
      ],
      outputs: [out],
    });
    const driver = createDriver({ processors: [processor] });
    for (const text of ['x', 'y']) driver.write(raw, { key: 'k', value: aNote(text) });
    expect(() => driver.advanceBy(1)).toThrow('sum-0: after raw/0/1');
  });
});

test('a fold passes, and writes the same bytes as without the strict test', () => {
  const count = ({ value, eventTimeMs }: InputRecord<ReturnType<typeof aNote>>, context: Context) => {
    const { values, versions, numbers } = context.stores;
    const { seen } = values.get('k') ?? { seen: [] };
    values.put('k', { seen: [...seen, value?.text ?? ''] });
    versions.put('k', eventTimeMs, { text: value?.text ?? '' });
    numbers.put('k', (numbers.get('k') ?? 0) + 1);
    say(context, `${numbers.get('k')} ${values.get('k')?.seen}`);
  };
  const driver = run(count);
  expect(texts(driver, next)).toEqual(['1 x', '2 x,y', '3 x,y,z']);
  expect(driver.streams()).toEqual(run(count, false).streams());
});

test('freezing is deep, and leaves bytes alone', () => {
  const bytes = Buffer.from('x');
  const value = deepFreeze({ list: [{ bytes, big: 1n, none: undefined, nothing: null }] });
  expect(Object.isFrozen(value.list[0])).toBe(true);
  bytes[0] = 0;
  expect(value.list[0]?.bytes[0]).toBe(0);
  expect(deepFreeze('text')).toBe('text');
});
