/** The tables of `ops/performance.md`, which stand between two markers. */
import type { Advantages } from './baseline.ts';
import type { FigureName, Summary } from './cases.ts';

export const BEGIN = '<!-- bench: begin -->';
export const END = '<!-- bench: end -->';

interface Column<Row> {
  readonly title: string;
  readonly isWord?: true;
  readonly text: (row: Row) => string;
}

/** Thousands apart, `places` digits after the point. */
export const grouped = (value: number, places = 0): string => {
  const [whole = '', fraction] = value.toFixed(places).split('.');
  const groups = whole.replaceAll(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? groups : `${groups}.${fraction}`;
};

const figure =
  (name: FigureName, places = 0, unit = '') =>
  ({ figures }: Summary): string => {
    const value = figures[name];
    return value === null ? '-' : `${grouped(value, places)}${unit}`;
  };

const FIRST: readonly Column<Summary>[] = [
  { title: 'Workload', isWord: true, text: (summary) => summary.case },
  { title: 'Contender', isWord: true, text: ({ contender }) => contender },
];
const LAST: readonly Column<Summary>[] = [
  { title: 'CPU seconds per million', text: figure('cpuSecondsPerMillion', 1) },
  { title: 'Peak memory', text: figure('peakRssMiB', 0, ' MiB') },
  { title: 'Mistakes', text: ({ mistakes }) => grouped(mistakes) },
  { title: 'Rounds', text: ({ rounds }) => String(rounds) },
];
const UNPACED: readonly Column<Summary>[] = [
  ...FIRST,
  { title: 'Steady records/s', text: figure('steadyPerSecond') },
  ...LAST,
];
const PACED: readonly Column<Summary>[] = [
  ...FIRST,
  { title: 'p50', text: figure('p50Ms', 0, ' ms') },
  { title: 'p99, last 30 s', text: figure('p99Ms', 0, ' ms') },
  ...LAST,
];

type Times = readonly [name: string, Advantages[string]];
const times =
  (name: FigureName) =>
  ([, found]: Times): string =>
    String(found?.[name] ?? '-');

const TIMES: readonly Column<Times>[] = [
  { title: 'Times better than the peer', isWord: true, text: ([name]) => name },
  { title: 'CPU', text: times('cpuSecondsPerMillion') },
  { title: 'Records/s', text: times('steadyPerSecond') },
  { title: 'p50', text: times('p50Ms') },
  { title: 'p99', text: times('p99Ms') },
  { title: 'Memory', text: times('peakRssMiB') },
];

/** Markdown: what goes as fast as it can, what is paced, and how many times better than the peer. */
export function tables(summaries: readonly Summary[], advantages: Advantages): string {
  const isPaced = ({ figures }: Summary): boolean => figures.p50Ms !== null;
  return [
    table(
      UNPACED,
      summaries.filter((summary) => !isPaced(summary)),
    ),
    table(PACED, summaries.filter(isPaced)),
    table(TIMES, Object.entries(advantages)),
  ]
    .filter((text) => text !== '')
    .join('\n\n');
}

/** Empty without rows. Words stand left, numbers right. */
function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  if (rows.length === 0) return '';
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ text }) => text(row))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const isWord = (index: number): boolean => columns[index]?.isWord === true;
  const padded = (text: string, index: number): string => {
    const width = widths[index] ?? 0;
    return isWord(index) ? text.padEnd(width) : text.padStart(width);
  };
  const line = (texts: readonly string[]): string => `| ${texts.map(padded).join(' | ')} |`;
  const [head = [], ...body] = cells;
  const rule = widths.map((width, index) =>
    isWord(index) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...body.map(line)].join('\n');
}

/** Throws when the page lacks the markers. */
export function replaceTables(page: string, text: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin === -1 || end < begin)
    throw new Error(`ops/performance.md: expected ${BEGIN} and ${END} around its tables; put them back`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${page.slice(end)}`;
}
