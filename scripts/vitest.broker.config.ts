import { defineConfig } from 'vitest/config';

// Tests on the real services. One file at a time: the machine may be small, and the services are shared.
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['{schemas,pipeline,connectors,topology,sinks,ops,scripts}/**/*.broker.test.ts'],
    globalSetup: [new URL('./broker-services.ts', import.meta.url).pathname],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
  },
});
