/** Losses at the end of a partition, which no gap shows: what its writer says that it wrote never comes. */
import { PipelineError } from '#pipeline/errors.ts';
import { type Channel, channelName } from './channel.ts';

/** A tick has waited for longer than `limitMs` for records that it covers: perhaps a loss at the tail, which no gap shows. */
export const isTailLate = ({ pendingTick }: Channel, nowMs: number, limitMs: number): boolean =>
  pendingTick !== null && nowMs - pendingTick.sinceMs >= limitMs;

/** Finds, when it is called now and then, the channels with a late tail: as above, or taken from memory and missing in Kafka. */
export function watchTails(
  channels: readonly Channel[],
  limitMs: number,
): (nowMs: number) => readonly Channel[] {
  const waits = new Map<Channel, { readonly sequence: number; readonly sinceMs: number }>();
  const isUnseenLate = (channel: Channel, nowMs: number): boolean => {
    const sequence = channel.unseen.first?.order;
    const wait = waits.get(channel);
    if (sequence !== undefined && wait?.sequence === sequence) return nowMs - wait.sinceMs >= limitMs;
    if (sequence === undefined) waits.delete(channel);
    else waits.set(channel, { sequence, sinceMs: nowMs });
    return false;
  };
  return (nowMs) =>
    channels.filter((channel) => isUnseenLate(channel, nowMs) || isTailLate(channel, nowMs, limitMs));
}

/** The partition was read to its end, and what its writer says that it wrote is not there. */
export const tailLost = (channel: Channel): PipelineError =>
  new PipelineError(
    'SEQUENCE_GAP',
    `${channelName(channel)}: its writer says that it wrote up to ${channel.pendingTick?.sequence ?? channel.last.sequence}, the log ends at ${channel.stored.sequence}: records are lost at the end; replay this topic`,
  );
