/** From files of claims to one label for each address. Pure. */
import type { Label } from '#schemas/label.ts';
import { addressOn, LABEL_CHAINS, type LabelChain } from './address.ts';
import { parseCsv } from './csv.ts';
import { parseExplorerLine } from './etherscan.ts';
import { type Claim, shapeOf } from './shapes.ts';

/** A place in a file that could not be used. */
export interface BadRow {
  readonly line: number;
  readonly reason: string;
}

/** What a file says, in its order. */
export interface LabelFile {
  readonly labels: readonly Label[];
  readonly bad: readonly BadRow[];
}

/** Of several labels for one address the leftmost kind wins, then the file named first, then the first row. */
export const PRECEDENCE = [
  'sanctioned',
  'exchange',
  'bridge',
  'fund',
  'rollup',
  'oracle',
  'mev',
  'other',
] as const satisfies readonly Label['kind'][];

/** Names are shown to people; none of the known files comes near. UTF-16 units. */
const MAX_NAME_LENGTH = 256;

/** Reads the text of a file; `name` ends in `.csv` or `.jsonl`, with or without `.gz`. Null: no known shape. */
export function parseLabelFile(name: string, text: string): LabelFile | null {
  return /\.jsonl(\.gz)?$/.test(name) ? parseLines(name, text) : parseTable(name, text);
}

function parseLines(source: string, text: string): LabelFile {
  const out = collector(source);
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    try {
      out.add(index + 1, parseExplorerLine(line));
    } catch {
      out.bad.push({ line: index + 1, reason: 'expected {address: {name, labels}}' });
    }
  }
  return out;
}

function parseTable(source: string, text: string): LabelFile | null {
  const [header, ...rows] = parseCsv(text);
  const columns = header?.fields.map((field) => field.trim()) ?? [];
  const shape = shapeOf(columns);
  if (shape === null) return null;
  const places = new Map(columns.map((column, index) => [column, index]));
  const out = collector(source);
  for (const { line, fields } of rows) {
    if (fields.length !== columns.length) {
      out.bad.push({ line, reason: `expected ${columns.length} fields, found ${fields.length}` });
      continue;
    }
    out.add(
      line,
      shape.claims((column) => fields[places.get(column) ?? -1]?.trim() ?? ''),
    );
  }
  return out;
}

function collector(source: string) {
  const labels: Label[] = [];
  const bad: BadRow[] = [];
  const add = (line: number, claims: readonly Claim[]): void => {
    for (const claim of claims) {
      const label = labelOf(claim, source);
      if (label === null) bad.push({ line, reason: 'expected an address of a known chain' });
      else labels.push(label);
    }
  };
  return { labels, bad, add };
}

/** Null when the chain is not kept or the address is none. */
function labelOf(claim: Claim, source: string): Label | null {
  const chain = LABEL_CHAINS.find((known): known is LabelChain => known === claim.chain);
  const address = chain === undefined ? null : addressOn(chain, claim.address);
  if (chain === undefined || address === null) return null;
  return {
    id: `label:${chain}:${address}`,
    chain,
    address,
    name: claim.name.slice(0, MAX_NAME_LENGTH).toWellFormed(),
    kind: claim.kind,
    entity: claim.entity?.slice(0, MAX_NAME_LENGTH).toWellFormed() ?? null,
    validFromMs: dayMs(claim.since),
    confidence: claim.confidence,
    source,
  };
}

/** Start of an ISO day in UTC; null for anything else, such as a day that does not exist. */
function dayMs(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return null;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text ? null : ms;
}

/** One label for each `chain:address`, by `PRECEDENCE`; `files` in the order in which they were named. */
export function mergeLabels(files: readonly (readonly Label[])[]): Map<string, Label> {
  const merged = new Map<string, Label>();
  for (const label of files.flat()) {
    const key = `${label.chain}:${label.address}`;
    const present = merged.get(key);
    if (present === undefined || rank(label) < rank(present)) merged.set(key, label);
  }
  return merged;
}

const rank = ({ kind }: Label): number => PRECEDENCE.indexOf(kind);
