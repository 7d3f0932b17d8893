/** The golden cases in the test driver, with the ticks that they have on a broker too: every byte is the same. */
import { dlq, planTopic } from '#schemas/topics.ts';
import type { Driver } from '../driver/contract.ts';
import { createDriver } from '../driver.ts';
import { CUTS_MS, processors, recordsBetween } from './topology.ts';

/** `before` is called before each record. */
export function runInDriver(
  options: { readonly strict?: boolean; readonly before?: (driver: Driver, index: number) => void } = {},
): Driver {
  const { strict = false, before = () => {} } = options;
  const driver = createDriver({ processors, planTopic, dlqTopic: dlq, strict });
  let index = 0;
  for (const [cut, cutMs] of CUTS_MS.entries()) {
    for (const { topic, ...input } of recordsBetween(CUTS_MS[cut - 1] ?? 0, cutMs)) {
      before(driver, index);
      driver.write(topic, input);
      index += 1;
    }
    driver.advanceTo(cutMs);
  }
  return driver;
}
