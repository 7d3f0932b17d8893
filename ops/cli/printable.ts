/** Text from outside, made safe for a terminal. */

/** Control, format (with direction marks), unpaired surrogates, line and paragraph ends; any such inside text lies. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Everything that a terminal acts on is written out, such as `\u{1b}`; the result is one line. */
export const escaped = (text: string): string =>
  text.replaceAll(
    UNSAFE,
    (character) => NAMED[character] ?? `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );

/** JSON text with the same meaning, that a terminal does not act on: JSON itself escapes only the first 32. */
export const escapedJson = (json: string): string =>
  json.replaceAll(UNSAFE, (character) =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
    ).join(''),
  );

/** Everything that a terminal acts on is left out, escape sequences with what they carry; white space is one blank. */
export const stripped = (text: string): string =>
  text
    .replaceAll(/\u001b\][^\u0007\u001b]*(\u0007|\u001b\\)?/g, '')
    .replaceAll(/(\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?/g, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(UNSAFE, '')
    .trim();

/** Columns on a terminal; wide characters count two. Never too few. */
export function widthOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += (character.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1;
  return columns;
}

/** At most `columns` wide; what is cut is marked. */
export function cutTo(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let cut = '';
  let used = 0;
  for (const character of text) {
    used += widthOf(character);
    if (used > columns - 1) break;
    cut += character;
  }
  return columns < 1 ? '' : `${cut}~`;
}
