import { describe, expect, test } from 'vitest';
import type { CrashOptions } from '../driver/contract.ts';
import { createDriver } from '../driver.ts';
import { lineOf } from './case.ts';
import { runInDriver } from './driver-run.ts';
import { expectedLive, LIVE_KEYS, live, liveLines, lives } from './live.ts';
import { expectedCounts, expectedLetters, expectedLines, letterOf } from './topology.ts';

describe('the golden cases in the test driver', () => {
  const driver = runInDriver({ strict: true });

  test.each(expectedLines)('write the lines of $name', (topic, expected) => {
    expect(driver.read(topic).map(lineOf)).toEqual(expected);
  });

  test('put one record aside', () => {
    expect(driver.deadLetters().map(letterOf)).toEqual(expectedLetters);
  });

  test.each(expectedCounts)('%s of %s.%s is %i', (name, processor, store, count) => {
    expect(driver.count(name, { processor, store })).toBe(count);
  });

  test('wait for nothing at the end', () => {
    expect(driver.waits()).toEqual([]);
    expect(driver.halted()).toEqual([]);
  });

  test.each<CrashOptions>([
    { after: 'nothing' },
    { after: 'changelog', keepsDisk: false },
    { after: 'outputs' },
  ])('are the same byte by byte when every task crashes before each fifth record: %j', (options) => {
    const crashed = runInDriver({
      before: (one, index) => {
        if (index % 5 === 0) one.crash('all', options);
      },
    });
    expect(crashed.streams()).toEqual(driver.streams());
  });
});

test('sessions and timers on live topics end at their very log time, where nothing more comes', () => {
  const driver = createDriver({ processors: [live] });
  for (const [index, key] of LIVE_KEYS.entries())
    driver.write(lives, { key, value: { text: '' }, atMs: 1_000 + index });
  driver.advanceTo(2_000);
  const found = driver.read(liveLines);
  for (const [index, key] of LIVE_KEYS.entries())
    expect(found.filter((one) => one.key === key).map(lineOf)).toEqual(expectedLive(key, 1_000 + index));
});
