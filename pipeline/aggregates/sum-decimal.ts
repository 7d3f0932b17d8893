/** Exact sum of decimal text. */
import { isDecimalText } from '#pipeline/amounts.ts';
import type { Aggregate } from './aggregate.ts';

/** value = digits / 10^scale. In memory the scale only grows: it is cut to what is needed when it is written. */
interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

/**
 * The sum of the decimal texts `of(input)`, such as prices or USD values: exact at any scale and size, can be undone.
 * The result is canonical decimal text without exponent, `"0"` for no inputs. An input that is no decimal text is a
 * RangeError.
 */
export const sumDecimal = <In>(of: (input: In) => string): Aggregate<In, Decimal, string> => ({
  name: 'sumDecimal',
  zero: { digits: 0n, scale: 0 },
  add: (state, input) => plus(state, parse(of(input))),
  merge: plus,
  remove: (state, input) => {
    const { digits, scale } = parse(of(input));
    return plus(state, { digits: -digits, scale });
  },
  result: write,
  codec: {
    encode: (state) => {
      const { digits, scale } = canonical(state);
      return `${digits}/${scale}`;
    },
    decode: (text) => {
      const cut = text.indexOf('/');
      return { digits: BigInt(text.slice(0, cut)), scale: Number(text.slice(cut + 1)) };
    },
  },
});

const TEN: readonly bigint[] = Array.from({ length: 64 }, (_, n) => 10n ** BigInt(n));
const powerOfTen = (exponent: number): bigint => TEN[exponent] ?? 10n ** BigInt(exponent);

function parse(text: string): Decimal {
  if (!isDecimalText(text)) {
    throw new RangeError(`expected decimal text such as 12.5, found ${JSON.stringify(text.slice(0, 40))}`);
  }
  const dot = text.indexOf('.');
  if (dot === -1) return { digits: BigInt(text), scale: 0 };
  return { digits: BigInt(text.slice(0, dot) + text.slice(dot + 1)), scale: text.length - 1 - dot };
}

function plus(a: Decimal, b: Decimal): Decimal {
  if (a.scale === b.scale) return { digits: a.digits + b.digits, scale: a.scale };
  if (a.scale < b.scale) return plus(b, a);
  return { digits: a.digits + b.digits * powerOfTen(a.scale - b.scale), scale: a.scale };
}

function canonical({ digits, scale }: Decimal): Decimal {
  let [left, places] = [digits, scale];
  while (places > 0 && left % 10n === 0n) {
    left /= 10n;
    places -= 1;
  }
  return { digits: left, scale: places };
}

/** Not `toDecimalText`: a price times an amount may have more than 255 places. */
function write(state: Decimal): string {
  const { digits, scale } = canonical(state);
  if (scale === 0) return digits.toString();
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
  const point = text.length - scale;
  return `${digits < 0n ? '-' : ''}${text.slice(0, point)}.${text.slice(point)}`;
}
