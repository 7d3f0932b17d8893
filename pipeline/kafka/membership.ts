/**
 * Membership in a group whose members share something out: Kafka's group protocol without subscriptions, fetches or
 * offsets. Losing it costs nothing by itself: the member keeps what it has until it is told otherwise.
 */
import { messageOf } from '../errors.ts';
import { brokerErrorText } from './broker-errors.ts';
import {
  HEARTBEAT,
  heartbeatBody,
  JOIN_GROUP,
  type JoinAnswer,
  joinGroupAnswer,
  joinGroupBody,
  LEAVE_GROUP,
  leaveGroupBody,
  MEMBER_ID_REQUIRED,
  placeAnswer,
  REJOIN_ERRORS,
  SYNC_GROUP,
  syncGroupAnswer,
  syncGroupBody,
  UNKNOWN_MEMBER_ID,
} from './group-requests.ts';
import type { Link } from './link.ts';
import { FIND_COORDINATOR, findCoordinatorAnswer, findCoordinatorBody } from './offset-requests.ts';
import { retryDelayMs } from './outage.ts';
import type { DriverContext } from './producer.ts';
import type { GroupOptions, Membership } from './types.ts';

/** Members that do not join again within this time are left out of a new round. */
const REBALANCE_TIMEOUT_MS = 5_000;
const LEAVE_TIMEOUT_MS = 1_000;

/** An answer with an error. */
class Refused extends Error {
  readonly code: number;
  constructor(what: string, code: number) {
    super(`${what}: ${brokerErrorText(code)}`);
    this.code = code;
  }
}

export function joinGroup(context: DriverContext, options: GroupOptions): Membership {
  const { cluster, clock, log, outage } = context;
  const { group, sessionTimeoutMs, heartbeatMs } = options;
  const closing = new AbortController();
  const { signal } = closing;
  let member = '';
  let link: Link | null = null;

  /** The broker serves one request of a connection at a time, and a join is open for seconds: so a link of its own. */
  const connect = async (): Promise<Link> => {
    const answer = await cluster.ask(null, FIND_COORDINATOR, findCoordinatorBody(group));
    const { error, node } = findCoordinatorAnswer(answer);
    if (error !== 0) throw new Refused('search for the coordinator', error);
    return cluster.connect(node, signal);
  };

  const join = async (open: Link): Promise<JoinAnswer> => {
    for (;;) {
      const answer = joinGroupAnswer(
        await open.request(JOIN_GROUP, [
          joinGroupBody({
            group,
            member,
            said: options.says(),
            sessionTimeoutMs,
            rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
          }),
        ]),
      );
      if (answer.error === MEMBER_ID_REQUIRED) member = answer.member;
      else if (answer.error !== 0) throw new Refused('joining', answer.error);
      else return answer;
    }
  };

  /** From joining to the end of this round. */
  const round = async (open: Link): Promise<void> => {
    const { generation, leader, members, ...joined } = await join(open);
    member = joined.member;
    const place = { group, generation, member };
    const shares = leader === member ? options.share(members) : new Map<string, string>();
    const { error, share } = syncGroupAnswer(await open.request(SYNC_GROUP, [syncGroupBody(place, shares)]));
    if (error !== 0) throw new Refused('taking a share', error);
    outage.recovered();
    options.onShare(share);
    for (;;) {
      await clock.sleep(heartbeatMs, signal);
      if (signal.aborted) return;
      const code = placeAnswer(await open.request(HEARTBEAT, [heartbeatBody(place)]));
      if (code !== 0) throw new Refused('heartbeat', code);
    }
  };

  const stay = async (): Promise<void> => {
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (!link?.isOpen) link = await connect();
        await round(link);
      } catch (error) {
        if (signal.aborted) return;
        const code = error instanceof Refused ? error.code : null;
        if (code === UNKNOWN_MEMBER_ID) member = '';
        if (code !== null && REJOIN_ERRORS.has(code)) {
          log.debug('joining the group again', { group, reason: messageOf(error) });
          failures = 0;
          continue;
        }
        outage.failed(error);
        link?.close();
        await clock.sleep(retryDelayMs(failures), signal);
        failures += 1;
      }
    }
  };
  const staying = stay();

  return {
    leave: async () => {
      if (signal.aborted) return;
      const over = new AbortController();
      const open = link;
      if (open?.isOpen && member !== '')
        await Promise.race([
          open.request(LEAVE_GROUP, [leaveGroupBody({ group, member })]).catch(() => {}),
          clock.sleep(LEAVE_TIMEOUT_MS, over.signal),
        ]);
      over.abort();
      closing.abort();
      link?.close();
      await staying;
    },
  };
}
