import { describe, expect, test } from 'vitest';
import { crashRun } from './crash-run.ts';

describe('a killed run', () => {
  test('ends as an undisturbed one: same ids, nothing lost, nothing doubled', {
    timeout: 300_000,
  }, async () => {
    const seed = 20_261;
    const lines: string[] = [`seed ${seed}`];
    const say = (line: string) => lines.push(line);
    const { problems } = await crashRun({
      input: ['--world-blocks', '20'],
      kills: 3,
      brokerKills: 1,
      seed,
      say,
    });
    expect(problems, lines.join('\n')).toEqual([]);
  });
});
