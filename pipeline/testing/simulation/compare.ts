/** What must be equal in the end. */
import { type Streams, timeOf } from './streams.ts';
import { Violation, type World } from './world.ts';

/** What throws is a violation. */
export function check<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Violation(error instanceof Error ? error.message : String(error));
  }
}

/** Throws a Violation at the first line that differs. `other`: what was expected. */
export function compare(expected: Streams, actual: Streams, other: string): void {
  for (const name of new Set([...expected.keys(), ...actual.keys()])) {
    const [wanted, got] = [expected.get(name) ?? [], actual.get(name) ?? []];
    const at = wanted.findIndex((line, index) => line !== got[index]);
    if (at === -1 && wanted.length === got.length) continue;
    const place = at === -1 ? wanted.length : at;
    throw new Violation(
      `${name} differs from ${other} at ${place + 1}: expected ${wanted[place]}, found ${got[place]}; ${wanted.length} and ${got.length} records`,
    );
  }
}

/** The sink has each output of `fin` up to `endMs` once. */
export function compareRows({ database }: World, streams: Streams, endMs: number): void {
  const have = new Map<string, number>();
  for (const row of database.rows) have.set(row, (have.get(row) ?? 0) + 1);
  for (const [row, times] of have) if (times > 1) throw new Violation(`the sink has ${row} ${times} times`);
  for (const [name, lines] of streams) {
    if (!name.startsWith('fin/')) continue;
    for (const [index, line] of lines.entries()) {
      if (timeOf(line) <= endMs && !have.has(`${name}:${index + 1}`))
        throw new Violation(`the sink has lost ${name}:${index + 1}`);
    }
  }
}
