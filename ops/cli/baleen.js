#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=60
// The door to `main.ts`. Plain JavaScript for any Node since 18: what the pinned Node runs comes after it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const NODE_NEEDED = 26;
/**
 * Memory (ops/performance.md); also above, and in package.json. Megabytes of half of the young generation, in place of 32; by
 * how much the rest may grow between two full collections, in place of about 100 %: buffers of Kafka go with it.
 */
const MEMORY = ['--max-semi-space-size=8', '--heap-growing-percent=60'];
/** Warnings about things that are known and meant so. */
const QUIET_WARNINGS = ['TimeoutNegativeWarning', 'ExperimentalWarning'];

if (Number(process.versions.node.split('.')[0]) >= NODE_NEEDED) await runHere();
else runWithPinnedNode();

async function runHere() {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = (warning, ...rest) => {
    const [second] = rest;
    const type = warning instanceof Error ? warning.name : typeof second === 'object' ? second?.type : second;
    if (!QUIET_WARNINGS.includes(type)) emitWarning(warning, ...rest);
  };
  // From the second start on nothing is stripped of its types: faster, and without the memory of what does it.
  module.enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/baleen', import.meta.url)));
  const { main } = await import('./main.ts');
  const code = await main(process.argv.slice(2));
  // Written before the exit, also into a slow pipe; what is still open must not keep the process.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}

function runWithPinnedNode() {
  const node = fileURLToPath(new URL('../../node_modules/node/bin/node', import.meta.url));
  if (!existsSync(node)) {
    process.stderr.write(`baleen: needs Node ${NODE_NEEDED}, found ${process.versions.node}; run npm ci\n`);
    process.exit(1);
  }
  const flags = [...MEMORY, ...QUIET_WARNINGS.map((name) => `--disable-warning=${name}`)];
  const script = fileURLToPath(import.meta.url);
  const child = spawn(node, [...flags, script, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to both; a signal from elsewhere comes here only.
  const isTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  process.on('SIGINT', () => isTerminal || child.kill('SIGINT'));
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGHUP', () => isTerminal || child.kill('SIGHUP'));
  child.once('error', (error) => {
    process.stderr.write(`baleen: could not start ${node}: ${error.message}; run npm ci\n`);
    process.exit(1);
  });
  child.once('exit', (code, signal) =>
    process.exit(code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 9)),
  );
}
