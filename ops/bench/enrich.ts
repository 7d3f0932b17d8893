/** Workload `enrich`: decode, validate, exact value, encode; what is invalid goes on with its bytes. */
import { placePoint, toDecimalText } from '#pipeline/amounts.ts';
import { defineProcessor, type InputRecord, keyed, type ProcessContext } from '#pipeline/processor.ts';
import type { Serde } from '#pipeline/serde/serde.ts';
import {
  type BytesAsTheyAre,
  dlq,
  type EnrichedTransfer,
  enriched,
  received,
  type Transfer,
  transfers,
} from './records.ts';

const AMOUNT = /^(?:0|[1-9][0-9]{0,30})$/;
const PRICE = /^(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?$/;
const ADDRESS = /^0x[0-9a-f]{40}$/;
const MAX_DECIMALS = 36;

/** Whether a transfer is one that can be valued. */
export const isValid = ({ amount, decimals, price, from, to, eventTimeMs, scheduledMs }: Transfer): boolean =>
  AMOUNT.test(amount) &&
  decimals >= 0 &&
  decimals <= MAX_DECIMALS &&
  PRICE.test(price) &&
  ADDRESS.test(from) &&
  ADDRESS.test(to) &&
  eventTimeMs <= scheduledMs;

/** The exact value of a valid transfer. */
export function enrich(transfer: Transfer): EnrichedTransfer {
  const { amount, decimals, price } = transfer;
  const point = price.indexOf('.');
  const places = point === -1 ? 0 : price.length - 1 - point;
  const priceUnits = BigInt(point === -1 ? price : price.slice(0, point) + price.slice(point + 1));
  const valueUsd = toDecimalText(BigInt(amount) * priceUnits, decimals + places);
  return { ...transfer, units: placePoint(amount, decimals), valueUsd, tier: tierOf(valueUsd) };
}

/** Digits of the integer part, 0 below one. */
function tierOf(valueUsd: string): number {
  if (valueUsd.startsWith('0')) return 0;
  const point = valueUsd.indexOf('.');
  return point === -1 ? valueUsd.length : point;
}

/** `serde` decodes transfers. */
export const createEnrich = (serde: Serde) =>
  defineProcessor({
    name: 'enrich',
    summary: 'Gives each valid transfer its exact value; puts the others aside',
    inputs: [
      keyed(
        received,
        enriching(serde, (key, value, { emit }) => emit(enriched, key, value)),
      ),
    ],
    outputs: [enriched, dlq],
    keepsKey: true,
    onError: FAILS,
  });

/** Nothing that is wrong here is an accident of the data: a run with it has no result. */
export const FAILS = { decode: 'fail', logic: 'fail', output: 'fail' } as const;

/** Hands what is valid to `emitValid`, and the others to `dlq`. */
export const enriching =
  (serde: Serde, emitValid: (key: string, value: EnrichedTransfer, context: ProcessContext) => void) =>
  ({ key, value }: InputRecord<BytesAsTheyAre>, context: ProcessContext): void => {
    if (value === null) return;
    const transfer = decoded(serde, value.bytes);
    if (transfer !== null && isValid(transfer)) emitValid(key, enrich(transfer), context);
    else context.emit(dlq, key, value);
  };

function decoded(serde: Serde, bytes: Buffer): Transfer | null {
  try {
    return serde.decode(transfers, bytes);
  } catch {
    // Whatever is wrong with the bytes: they are put aside as they are.
    return null;
  }
}
