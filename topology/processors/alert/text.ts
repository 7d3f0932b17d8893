/** The sentence of an alert. Names and symbols in it are hostile text: they are cleaned, not trusted. */
import { groupThousands, roundHalfEven } from '#pipeline/amounts.ts';
import type { Score } from '#schemas/score.ts';

const MAX_NAME = 64;
const MAX_RULE = 200;

/**
 * Characters that can hide or reorder text, by range: C0 and C1 controls, soft hyphen, Arabic letter mark, zero-width
 * and direction marks, line separators, bidi overrides and isolates, lone surrogates, BOM, interlinear marks, tags.
 */
const UNSAFE: readonly (readonly [number, number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0xe0000, 0xe007f],
];

/** Text without invisible or reordering characters, at most `max` characters; a cut is shown. */
export function cleanText(text: string, max = MAX_NAME): string {
  const kept: string[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (UNSAFE.some(([first, last]) => code >= first && code <= last)) continue;
    if (kept.length === max) {
      kept[max - 1] = '…';
      break;
    }
    kept.push(character);
  }
  return kept.join('').trim();
}

/** An address cut to its ends: `0x1234…abcd`. */
export function shortAddress(address: string): string {
  const head = address.startsWith('0x') ? 6 : 4;
  return address.length <= head + 4 ? address : `${address.slice(0, head)}…${address.slice(-4)}`;
}

function partyText(name: string | null, address: string | null): string {
  const shown = name === null ? '' : cleanText(name);
  if (shown !== '') return shown;
  return address === null ? 'an unknown address' : shortAddress(address);
}

function amountText({ units, symbol, asset, amountRaw, usd }: Score): string {
  const cleaned = symbol === null ? '' : cleanText(symbol);
  const name = cleaned !== '' ? cleaned : asset === 'native' ? 'native coins' : `of ${shortAddress(asset)}`;
  const amount =
    units === null ? `${groupThousands(amountRaw.toString())} smallest units` : groupThousands(units);
  return `${amount} ${name}${usd === null ? '' : ` ($${groupThousands(roundHalfEven(usd, 2))})`}`;
}

function movementText(score: Score): string {
  const from = partyText(score.fromName, score.from);
  const to = partyText(score.toName, score.to);
  if (score.flow === 'mint') return `minted to ${to}`;
  if (score.flow === 'burn') return `burnt by ${from}`;
  return `moved from ${from} to ${to}`;
}

/** One line for people: amount, value, who, why. */
export const alertText = (score: Score, ruleText: string): string =>
  `${amountText(score)} ${movementText(score)}: ${cleanText(ruleText, MAX_RULE)}`;
