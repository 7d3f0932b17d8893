import { afterAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '../clock.ts';
import { silentLog } from '../telemetry/log.ts';
import { openKafka } from './client.ts';
import type { GroupMember, Kafka, Membership } from './types.ts';

const brokers = process.env.KAFKA_BROKERS;
const run = Date.now().toString(36);
const SESSION_MS = 6_000;

/** Long enough for a machine with much to do. */
const patiently = { timeout: 40_000, interval: 20 };

describe.skipIf(brokers === undefined)('a group (set KAFKA_BROKERS)', { timeout: 90_000 }, () => {
  const opened: Kafka[] = [];
  let named = 0;
  let group = '';

  const client = async (): Promise<Kafka> => {
    const kafka = await openKafka({
      brokers: (brokers ?? '').split(','),
      clientId: 'test',
      log: silentLog,
      clock: systemClock,
    });
    opened.push(kafka);
    return kafka;
  };
  beforeEach(() => {
    named += 1;
    group = `membership-${run}-${named}`;
  });
  afterAll(async () => {
    for (const kafka of opened) await kafka.close();
  });

  /** Everybody gets the names of all. */
  const share = (members: readonly GroupMember[]): ReadonlyMap<string, string> => {
    const all = members
      .map(({ said }) => said)
      .sort()
      .join();
    return new Map(members.map(({ id }) => [id, all]));
  };
  const join = (kafka: Kafka, name: string): { readonly got: string[]; readonly membership: Membership } => {
    const got: string[] = [];
    const membership = kafka.join({
      group,
      sessionTimeoutMs: SESSION_MS,
      heartbeatMs: 100,
      says: () => name,
      share,
      onShare: (text) => got.push(text),
    });
    onTestFinished(() => membership.leave());
    return { got, membership };
  };

  test('shares out anew when a member comes, leaves, or falls silent', async () => {
    const [one, two, silent] = await Promise.all([client(), client(), client()]);
    const a = join(one, 'a');
    await vi.waitFor(() => expect(a.got.at(-1)).toBe('a'), patiently);
    const b = join(two, 'b');
    await vi.waitFor(() => expect([a.got.at(-1), b.got.at(-1)]).toEqual(['a,b', 'a,b']), patiently);
    await b.membership.leave();
    await vi.waitFor(() => expect(a.got.at(-1)).toBe('a'), patiently);

    // As a process does that was killed: no heartbeat, and no goodbye.
    const hasJoined = { value: false };
    const ended = silent.join({
      group,
      sessionTimeoutMs: SESSION_MS,
      heartbeatMs: 3_600_000,
      says: () => 'c',
      share,
      onShare: () => {
        hasJoined.value = true;
      },
    });
    onTestFinished(() => ended.leave());
    await vi.waitFor(() => expect([hasJoined.value, a.got.at(-1)]).toEqual([true, 'a,c']), patiently);
    const silentSinceMs = performance.now();
    await vi.waitFor(() => expect(a.got.at(-1)).toBe('a'), patiently);
    expect(performance.now() - silentSinceMs).toBeGreaterThan(SESSION_MS / 2);
  });

  test('takes back a member that was counted out, and nobody else notices more than that', async () => {
    const [one, two] = await Promise.all([client(), client()]);
    const a = join(one, 'a');
    // Its first heartbeat comes when it was counted out long ago.
    const got: string[] = [];
    const late = two.join({
      group,
      sessionTimeoutMs: SESSION_MS,
      heartbeatMs: SESSION_MS + 3_000,
      says: () => 'late',
      share,
      onShare: (text) => got.push(text),
    });
    onTestFinished(() => late.leave());
    await vi.waitFor(() => expect([a.got.at(-1), got.at(-1)]).toEqual(['a,late', 'a,late']), patiently);
    await vi.waitFor(() => expect(a.got.at(-1)).toBe('a'), patiently);
    await vi.waitFor(() => expect([a.got.at(-1), got.length]).toEqual(['a,late', 2]), patiently);
  });
});
