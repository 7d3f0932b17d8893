/** JoinGroup (version 4), SyncGroup, Heartbeat and LeaveGroup (version 2): membership without subscriptions or offsets. */
import type { GroupMember } from './types.ts';
import { createReader, createWriter, type WireWriter } from './wire.ts';

export const JOIN_GROUP = { key: 11, version: 4, name: 'JoinGroup' } as const;
export const HEARTBEAT = { key: 12, version: 2, name: 'Heartbeat' } as const;
export const LEAVE_GROUP = { key: 13, version: 2, name: 'LeaveGroup' } as const;
export const SYNC_GROUP = { key: 14, version: 2, name: 'SyncGroup' } as const;

export const MEMBER_ID_REQUIRED = 79;
export const UNKNOWN_MEMBER_ID = 25;
/** Members come or go, or this one missed it: join again. */
export const REJOIN_ERRORS: ReadonlySet<number> = new Set([22, UNKNOWN_MEMBER_ID, 27]);

/** Own type, so that tools do not take what members say for subscriptions. */
const PROTOCOL_TYPE = 'baleen';
const PROTOCOL = 'tasks';

export interface JoinAnswer {
  readonly error: number;
  readonly generation: number;
  /** Member that shares out. */
  readonly leader: string;
  readonly member: string;
  /** All members for the leader; empty for the others. */
  readonly members: readonly GroupMember[];
}

/** The member is empty at first. Answered once all members have joined, or the rebalance time is over. */
export function joinGroupBody(options: {
  group: string;
  member: string;
  said: string;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
}): Buffer {
  const writer = createWriter();
  writer.string(options.group);
  writer.int32(options.sessionTimeoutMs);
  writer.int32(options.rebalanceTimeoutMs);
  writer.string(options.member);
  writer.string(PROTOCOL_TYPE);
  writer.int32(1);
  writer.string(PROTOCOL);
  writer.bytes(Buffer.from(options.said));
  return writer.take();
}

export function joinGroupAnswer(payload: Buffer): JoinAnswer {
  const reader = createReader(payload);
  reader.int32(); // throttle
  const error = reader.int16();
  const generation = reader.int32();
  reader.string(); // protocol
  const leader = reader.string();
  const member = reader.string();
  const members = reader.array((): GroupMember => ({ id: reader.string(), said: reader.bytes().toString() }));
  return { error, generation, leader, member, members };
}

interface Place {
  readonly group: string;
  readonly generation: number;
  readonly member: string;
}

const placeBody = ({ group, generation, member }: Place): WireWriter => {
  const writer = createWriter();
  writer.string(group);
  writer.int32(generation);
  writer.string(member);
  return writer;
};

/** From the leader with the share of each member, from the others with none. */
export function syncGroupBody(place: Place, shares: ReadonlyMap<string, string>): Buffer {
  const writer = placeBody(place);
  writer.int32(shares.size);
  for (const [member, share] of shares) {
    writer.string(member);
    writer.bytes(Buffer.from(share));
  }
  return writer.take();
}

export function syncGroupAnswer(payload: Buffer): { readonly error: number; readonly share: string } {
  const reader = createReader(payload);
  reader.int32(); // throttle
  return { error: reader.int16(), share: reader.bytes().toString() };
}

export const heartbeatBody = (place: Place): Buffer => placeBody(place).take();

export function leaveGroupBody({ group, member }: Pick<Place, 'group' | 'member'>): Buffer {
  const writer = createWriter();
  writer.string(group);
  writer.string(member);
  return writer.take();
}

/** Of Heartbeat and LeaveGroup: the error, 0 when there is none. */
export function placeAnswer(payload: Buffer): number {
  const reader = createReader(payload);
  reader.int32(); // throttle
  return reader.int16();
}
