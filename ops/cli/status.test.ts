import { describe, expect, test } from 'vitest';
import type { Status } from '#ops/admin/status.ts';
import { statusLines } from './status.ts';

const wait = { halted: null, waitsFor: null, writer: null, logTimeMs: null, sinceMs: null, slowest: null };
const task = (name: string, partition: number, step: number) => ({
  task: `${name}-${partition}`,
  subTopology: name,
  partition,
  step,
  logTimeMs: 1,
  boundMs: null,
  buffered: 0,
  lag: 3,
  checkpoint: { step: 1_200, atMs: 119_000 },
});
const running: Status = {
  state: 'running',
  pid: 42,
  startedAtMs: 0,
  nowMs: 120_000,
  version: { epoch: 1, fingerprint: 'abc', excluded: [], forced: [] },
  tasks: [task('evm', 0, 1_234), { ...task('detect', 0, 1_200), checkpoint: { step: 1_200, atMs: null } }],
  waits: [
    { ...wait, task: 'evm-0', halted: { place: 'raw/0/7', cause: 'bad\u001b[31m' }, sinceMs: 1 },
    { ...wait, task: 'detect-0', waitsFor: 'chain/0/evm-0', writer: 'evm-0', logTimeMs: 1, sinceMs: 117_500 },
  ],
  restores: [],
  connectors: [{ name: 'evm', isIdle: true, detail: 'block 7' }],
  sinks: [{ name: 'postgres', detail: '12 records' }],
};

describe('status', () => {
  test('shows each task with its lag, its checkpoint and whom it waits for', () => {
    expect(statusLines(running, 'http://127.0.0.1:1')).toEqual([
      'running for 2 min, process 42, admin server http://127.0.0.1:1',
      '2 tasks, lag 6',
      '',
      'task      steps  lag  checkpoint              waits for',
      'evm-0     1,234    3  1,200, 1.0 s ago        halted before raw/0/7',
      'detect-0  1,200    3  all, before this start  chain/0/evm-0, 2.5 s',
      '',
      'warning evm-0 is halted before raw/0/7: bad; detect-0 waits for it. Correct the processor, or let its onError put the record aside, and start again; where neither can be, "baleen exclude evm-0" lets the others go on without it',
      '',
      'connector evm        block 7',
      'sink      postgres   12 records',
    ]);
  });

  test('names what is excluded, since when, and which cuts were forced', () => {
    const version = {
      ...{ epoch: 3, fingerprint: 'abc' },
      excluded: [{ name: 'detect-2', epoch: 3, sinceMs: 3_000 }],
      forced: [{ epoch: 2, cutMs: 2_000, tasks: ['evm-0', 'detect-2'] }],
    };
    expect(statusLines({ ...running, version }, 'http://127.0.0.1:1').slice(1, 3)).toEqual([
      'without detect-2 since 1970-01-01T00:00:03.000Z; "baleen return detect-2" takes it in again',
      'the cut to version 2 at 1970-01-01T00:00:02.000Z was forced for evm-0, detect-2: what they had written after their last checkpoints came out twice',
    ]);
  });

  test('shows restores while it starts', () => {
    const restores = [
      {
        task: 'detect-2',
        isDone: false,
        entries: 12_000,
        bytes: 3_400_000,
        remaining: 900,
        startedAtMs: 0,
        endedAtMs: null,
      },
    ];
    const nothing = { version: null, tasks: [], waits: [], connectors: [], sinks: [] };
    expect(
      statusLines({ ...running, ...nothing, restores, state: 'starting' }, 'http://127.0.0.1:1'),
    ).toEqual([
      'starting for 2 min, process 42, admin server http://127.0.0.1:1',
      'restoring detect-2: 12,000 entries, 3.4 MB, 900 changelog records left',
    ]);
  });
});
