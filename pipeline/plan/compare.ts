/** What differs between two versions, and on which path the state of each part goes over (`ops/engine.md`, "Versions"). */
import type { DescribedProcessor, Description } from './description.ts';

/**
 * What becomes of state: `kept`, as it is; `empty`, begins at the cut with nothing; `dropped`, ends at the cut;
 * `refused`, there is no path, and `hint` says the way out.
 */
export type Path = 'kept' | 'empty' | 'dropped' | 'refused';

export interface Change {
  readonly kind: 'part' | 'topic' | 'sub-topology' | 'processor' | 'input' | 'output' | 'store';
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed' | 'moved';
  readonly path: Path;
  /** What happens, or what to do instead. */
  readonly hint: string;
}

interface Placed extends DescribedProcessor {
  readonly subTopology: string;
}

/**
 * In the order: parts, topics, sub-topologies, processors. `emptied`: `processor.store` that may begin anew though they are
 * laid out differently now. `past`: versions before `before`.
 */
export function compareVersions(options: {
  readonly before: Description;
  readonly after: Description;
  readonly emptied?: readonly string[];
  readonly past?: readonly Description[];
}): readonly Change[] {
  const { before, after, emptied = [], past = [] } = options;
  return [
    ...compareParts(before, after),
    ...compareTopics(before, after),
    ...compareSubTopologies(before, after, past),
    ...compareProcessors(placed(before), placed(after), new Set(emptied), layersOf(after)),
  ];
}

/** `processor.store` whose state ends at the cut: what is gone, and what begins anew under its old name. */
export function droppedStores(before: Description, after: Description): readonly string[] {
  const present = new Map(placed(after).map((processor) => [processor.name, processor]));
  return placed(before).flatMap(({ name, subTopology, stores }) =>
    Object.entries(stores)
      .filter(([store, layout]) => {
        const now = present.get(name);
        return now?.subTopology !== subTopology || now.stores[store] !== layout;
      })
      .map(([store]) => `${name}.${store}`),
  );
}

function compareParts(before: Description, after: Description): readonly Change[] {
  return differences(before.parts, after.parts).map(({ name, change }) => ({
    kind: 'part',
    name,
    change,
    path: 'kept',
    hint: 'code: state stays, what comes after the cut is made by the new code',
  }));
}

function compareTopics(before: Description, after: Description): readonly Change[] {
  const old = new Map(before.topics.map((topic) => [topic.name, topic]));
  return after.topics.flatMap((topic): readonly Change[] => {
    const { name } = topic;
    const was = old.get(name);
    if (was === undefined) return [];
    const base = { kind: 'topic', name, change: 'changed' } as const;
    return [
      ...(was.partitions === topic.partitions
        ? []
        : [
            {
              ...base,
              path: 'refused' as const,
              hint: `has ${was.partitions} partitions for life, not ${topic.partitions}; give the topic a new name, such as the next version`,
            },
          ]),
      ...(was.layer === topic.layer
        ? []
        : [
            {
              ...base,
              path: 'refused' as const,
              hint: `is a ${was.layer} topic, not ${topic.layer}; give it a new name`,
            },
          ]),
      ...(was.schema === topic.schema
        ? []
        : [
            {
              ...base,
              path: 'kept' as const,
              hint: 'schema: old records are read with defaults; the registry refuses what cannot be',
            },
          ]),
    ];
  });
}

function compareSubTopologies(
  before: Description,
  after: Description,
  past: readonly Description[],
): readonly Change[] {
  const old = new Map(before.subTopologies.map((one) => [one.name, one]));
  const now = new Map(after.subTopologies.map((one) => [one.name, one]));
  const returned = new Set(past.flatMap(({ subTopologies }) => subTopologies.map(({ name }) => name)));
  const added = [...now.values()].flatMap(({ name, partitions }): readonly Change[] => {
    const was = old.get(name);
    const base = { kind: 'sub-topology', name } as const;
    if (was === undefined && returned.has(name))
      return [
        {
          ...base,
          change: 'added',
          path: 'refused',
          hint: 'an earlier version had one of this name, and its sequences go on there; give it another name',
        },
      ];
    if (was === undefined)
      return [{ ...base, change: 'added', path: 'empty', hint: 'begins at the cut; its topics are new' }];
    if (was.partitions === partitions) return [];
    return [
      {
        ...base,
        change: 'changed',
        path: 'refused',
        hint: `has ${was.partitions} tasks for life, not ${partitions}: keys would move between them; give it another name, and it begins empty`,
      },
    ];
  });
  const removed = [...old.keys()]
    .filter((name) => !now.has(name))
    .map((name): Change => {
      const hint = 'ends at the cut; its changelog stays and is read no more; its name is used up';
      return { kind: 'sub-topology', name, change: 'removed', path: 'dropped', hint };
    });
  return [...added, ...removed];
}

function compareProcessors(
  before: readonly Placed[],
  after: readonly Placed[],
  emptied: ReadonlySet<string>,
  layers: ReadonlyMap<string, string>,
): readonly Change[] {
  const old = new Map(before.map((processor) => [processor.name, processor]));
  const now = new Set(after.map(({ name }) => name));
  const removed = before
    .filter(({ name }) => !now.has(name))
    .map(({ name, stores }): Change => {
      const count = Object.keys(stores).length;
      const hint = `ends at the cut, with ${count === 1 ? 'its store' : `its ${count} stores`}`;
      return { kind: 'processor', name, change: 'removed', path: 'dropped', hint };
    });
  const others = after.flatMap((processor): readonly Change[] => {
    const { name, subTopology } = processor;
    const was = old.get(name);
    if (was === undefined)
      return [
        {
          kind: 'processor',
          name,
          change: 'added',
          path: 'empty',
          hint: `begins at the cut in ${subTopology}`,
        },
      ];
    return [
      ...compareDeclaration(was, processor),
      ...compareInputs(was, processor, layers),
      ...compareOutputs(was, processor),
      ...compareStores(was, processor, emptied),
    ];
  });
  return [...removed, ...others];
}

function compareDeclaration(was: Placed, { name, subTopology, settings }: Placed): readonly Change[] {
  const changes: Change[] = [];
  if (was.subTopology !== subTopology) {
    const hint = `from ${was.subTopology} to ${subTopology}; the name of a sub-topology can be kept in buildGraph({ names })`;
    changes.push({ kind: 'processor', name, change: 'moved', path: 'kept', hint });
  }
  if (was.settings !== settings)
    changes.push({ kind: 'processor', name, change: 'changed', path: 'kept', hint: `settings: ${settings}` });
  return changes;
}

function compareInputs(
  was: Placed,
  { name, inputs }: Placed,
  layers: ReadonlyMap<string, string>,
): readonly Change[] {
  const hintOf = (input: string): string => {
    const layer = layers.get(input.split(' ')[0] ?? '');
    if (layer === 'fact') return 'all facts, as if they had come at the cut, if its task did not read them';
    if (layer === 'derived') return 'what was caused at the cut or later, if its task did not read it';
    return 'what comes after the decision, if its task did not read it';
  };
  return listDifferences(was.inputs, inputs).map(({ name: input, change }) => {
    const base = { kind: 'input', name: `${name} < ${input}`, change } as const;
    return change === 'added'
      ? { ...base, path: 'empty', hint: hintOf(input) }
      : { ...base, path: 'dropped', hint: 'is read no more' };
  });
}

const compareOutputs = (was: Placed, { name, outputs }: Placed): readonly Change[] =>
  listDifferences(was.outputs, outputs).map(({ name: output, change }) => ({
    kind: 'output',
    name: `${name} > ${output}`,
    change,
    path: 'kept',
    hint: change === 'added' ? 'sequences begin, or go on, at the cut' : 'sequences end at the cut',
  }));

function compareStores(was: Placed, now: Placed, emptied: ReadonlySet<string>): readonly Change[] {
  const isMoved = was.subTopology !== now.subTopology;
  return differences(was.stores, now.stores, isMoved).map(({ name: store, change }): Change => {
    const name = `${now.name}.${store}`;
    const base = { kind: 'store', name, change } as const;
    if (change === 'added') return { ...base, path: 'empty', hint: 'begins at the cut' };
    if (change === 'removed') return { ...base, path: 'dropped', hint: 'ends at the cut' };
    if (emptied.has(name))
      return { ...base, path: 'empty', hint: 'what it holds ends at the cut, as asked for' };
    const why = isMoved
      ? 'its state lies with another sub-topology'
      : `${was.stores[store]} -> ${now.stores[store]}: what it holds would be read wrongly`;
    const hint = `${why}; --empty ${name} begins anew, or give it another name and keep both for a while`;
    return { ...base, path: 'refused', hint };
  });
}

const placed = ({ subTopologies }: Description): readonly Placed[] =>
  subTopologies.flatMap(({ name: subTopology, processors }) =>
    processors.map((processor) => ({ ...processor, subTopology })),
  );

const layersOf = ({ topics }: Description): ReadonlyMap<string, string> =>
  new Map(topics.map(({ name, layer }) => [name, layer]));

interface Difference {
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed';
}

/** `allChanged`: what is in both counts as changed. */
function differences(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
  allChanged = false,
): readonly Difference[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((name) => {
    const [was, now] = [before[name], after[name]];
    if (was === now && !allChanged) return [];
    return [{ name, change: was === undefined ? 'added' : now === undefined ? 'removed' : 'changed' }];
  });
}

const listDifferences = (before: readonly string[], after: readonly string[]): readonly Difference[] =>
  differences(
    Object.fromEntries(before.map((name) => [name, ''])),
    Object.fromEntries(after.map((name) => [name, ''])),
  );
