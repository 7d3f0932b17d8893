/** Processes that share the tasks, on a real broker: killed, put to sleep, coming and going. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ownServices } from './crash-run.ts';

const DETERMINISM = join(import.meta.dirname, 'determinism.ts');
const SEED = '3';

test('write byte by byte what one process wrote, however they are disturbed', {
  timeout: 400_000,
}, async () => {
  const given = ['--world-blocks', '12', '--quick', '--seed', SEED];
  const child = spawn(process.execPath, [DETERMINISM, ...given], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: ownServices(),
  });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  const [code] = await once(child, 'close');
  expect(output).toContain(`3 runs, all byte-identical (seed ${SEED})`);
  expect(code).toBe(0);
});
