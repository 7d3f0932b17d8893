/** Names that a mistyped one may have meant. */

const MAX_LENGTH = 80;

/** At most `count` candidates, best first: those with few changes, and those that contain the name. */
export function nearest(name: string, candidates: readonly string[], count = 3): readonly string[] {
  const wanted = name.slice(0, MAX_LENGTH).toLowerCase();
  return candidates
    .map((candidate) => ({ candidate, distance: score(wanted, candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= Math.max(1, Math.floor(wanted.length / 3)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

const score = (wanted: string, candidate: string): number =>
  wanted.length >= 3 && candidate.includes(wanted) ? 1 : changes(wanted, candidate);

/** Levenshtein distance. */
function changes(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
