/** Faults around records that kill the process. */
import type { PlantedBug } from './bug.ts';

export const POISON_BUGS: readonly PlantedBug[] = [
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
];
