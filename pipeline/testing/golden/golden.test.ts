import { describe, expect, test } from 'vitest';
import { createDriver } from '../driver.ts';
import type { CrashOptions, Driver } from '../driver-contract.ts';
import { lineOf } from './case.ts';
import {
  CUTS_MS,
  dlq,
  expectedCounts,
  expectedLetters,
  expectedLines,
  planTopic,
  processors,
  records,
} from './topology.ts';

/** Writes everything, cut by cut; `between` is called before each record. */
function run(options: { strict?: boolean; between?: (driver: Driver, index: number) => void } = {}): Driver {
  const { strict = false, between = () => {} } = options;
  const driver = createDriver({ processors, planTopic, dlqTopic: dlq, strict });
  let index = 0;
  for (const cutMs of CUTS_MS) {
    for (let next = records[index]; next !== undefined && next.atMs < cutMs; next = records[index]) {
      between(driver, index);
      const { topic, ...input } = next;
      driver.write(topic, input);
      index += 1;
    }
    driver.advanceTo(cutMs);
  }
  return driver;
}

describe('the golden cases in the test driver', () => {
  const driver = run({ strict: true });

  test.each(expectedLines)('$name', (topic, expected) => {
    expect(driver.read(topic).map(lineOf)).toEqual(expected);
  });

  test('put one record aside', () => {
    const letters = driver
      .deadLetters()
      .map(({ eventTimeMs, component, code, place }) => `${eventTimeMs} ${component}: ${code} of ${place}`);
    expect(letters).toEqual(expectedLetters);
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
  ])('are byte by byte the same when every task crashes before each fifth record: %j', (options) => {
    const crashed = run({
      between: (one, index) => {
        if (index % 5 === 0) one.crash('all', options);
      },
    });
    expect(crashed.streams()).toEqual(driver.streams());
  });
});
