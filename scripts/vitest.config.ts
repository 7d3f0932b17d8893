import { defineConfig } from 'vitest/config';

// Unit, property and golden tests: no service, no network beyond loopback.
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['{schemas,pipeline,connectors,topology,sinks,ops,scripts}/**/*.test.ts'],
    exclude: ['**/*.broker.test.ts', '**/node_modules/**'],
    pool: 'threads',
    testTimeout: 20_000,
  },
});
