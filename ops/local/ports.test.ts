import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { choosePorts } from './ports.ts';

const dir = mkdtempSync(join(tmpdir(), 'baleen-ports-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('ports', () => {
  test('are all different and the same at the next start', async () => {
    const first = await choosePorts(dir);
    expect(new Set(Object.values(first)).size).toBe(4);
    expect(await choosePorts(dir)).toEqual(first);
  });

  test('that are in use are replaced, the others stay', async () => {
    const first = await choosePorts(dir);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(first.registry, '127.0.0.1', resolve));
    const second = await choosePorts(dir);
    await new Promise((resolve) => other.close(resolve));
    expect(second.registry).not.toBe(first.registry);
    expect({ ...second, registry: 0 }).toEqual({ ...first, registry: 0 });
  });

  test.each(['', 'null', '[]', '{"kafka":80,"registry":"9","postgres":1e9}'])(
    'are chosen anew when the file says %j',
    async (content) => {
      writeFileSync(join(dir, 'ports.json'), content);
      const ports = await choosePorts(dir);
      for (const port of Object.values(ports)) expect(port).toBeGreaterThan(1_023);
    },
  );
});
