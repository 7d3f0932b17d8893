/** Inputs kept as text, for what cannot be taken back from a state: lists in pieces, so that adding stays cheap. */
import type { Entries } from '#pipeline/state/store.ts';

/** A list of inputs; `key` may be any text, `head` no part of another list's. */
export interface ListName {
  readonly head: string;
  readonly key: string;
}

/** The caller knows how many texts a list has. */
export interface KeptInputs {
  append(list: ListName, count: number, text: string): void;
  read(list: ListName, count: number): readonly string[];
  /** Writes the list anew; an empty one leaves nothing. */
  replace(list: ListName, count: number, texts: readonly string[]): void;
}

/** Texts in one entry: adding one writes at most so many. */
const PIECE = 32;

export function createKeptInputs(entries: Entries<readonly string[]>): KeptInputs {
  const pathOf = ({ head, key }: ListName, piece: number): string => `${head}#${piece}#${key}`;
  const pieces = (count: number): number => Math.ceil(count / PIECE);
  return {
    append: (list, count, text) => {
      const path = pathOf(list, Math.floor(count / PIECE));
      entries.put(path, count % PIECE === 0 ? [text] : [...(entries.get(path) ?? []), text]);
    },
    read: (list, count) =>
      Array.from({ length: pieces(count) }, (_, piece) => entries.get(pathOf(list, piece)) ?? []).flat(),
    replace: (list, count, texts) => {
      for (let piece = 0; piece < pieces(texts.length); piece++) {
        entries.put(pathOf(list, piece), texts.slice(piece * PIECE, (piece + 1) * PIECE));
      }
      for (let piece = pieces(texts.length); piece < pieces(count); piece++)
        entries.delete(pathOf(list, piece));
    },
  };
}
