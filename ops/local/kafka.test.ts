import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { COMPOSE_ADDRESSES, COMPOSE_FILE } from './docker.ts';
import { parseJavaVersion } from './java.ts';
import { BROKER_SETTINGS, CLUSTER_ID, renderProperties } from './kafka.ts';
import { KAFKA_VERSION, REGISTRY_VERSION } from './maven.ts';
import { probeTools } from './probe.ts';
import { kafkaRequest, parseBroker } from './ready.ts';

const compose = z
  .object({
    services: z.record(
      z.string(),
      z.object({
        image: z.string(),
        ports: z.array(z.string()),
        healthcheck: z.object({ test: z.array(z.string()) }),
        environment: z.record(z.string(), z.string()).default({}),
      }),
    ),
  })
  .parse(parse(readFileSync(COMPOSE_FILE, 'utf8')));

describe('server.properties', () => {
  test('listens on loopback only and keeps records without a time limit', () => {
    const lines = renderProperties({ port: 1_001, controllerPort: 1_002, logDir: '/d/kafka/data' }).split(
      '\n',
    );
    expect(lines).toContain('listeners=PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:1002');
    expect(lines).toContain('advertised.listeners=PLAINTEXT://127.0.0.1:1001');
    expect(lines).toContain('controller.quorum.voters=1@127.0.0.1:1002');
    expect(lines).toContain('log.dirs=/d/kafka/data');
    expect(lines).toContain('log.retention.ms=-1');
    expect(lines).toContain('broker.session.timeout.ms=1500');
  });

  test('escapes what a properties file would read otherwise', () => {
    const text = renderProperties({ port: 1, controllerPort: 2, logDir: '/tmp/ü\\n\n' });
    expect(text).toContain('log.dirs=/tmp/\\u00fc\\\\n\\u000a\n');
  });
});

describe('the compose file', () => {
  test('gives the broker the same settings', () => {
    const environment = compose.services['kafka']?.environment ?? {};
    for (const [name, value] of Object.entries(BROKER_SETTINGS)) {
      const variable = `KAFKA_${name.replaceAll('.', '_').toUpperCase()}`;
      expect([variable, environment[variable]]).toEqual([variable, value]);
    }
    expect(environment['CLUSTER_ID']).toBe(CLUSTER_ID);
  });

  test('runs the same versions', () => {
    expect(compose.services['kafka']?.image).toBe(`apache/kafka:${KAFKA_VERSION}`);
    expect(compose.services['registry']?.image).toBe(`apicurio/apicurio-registry:${REGISTRY_VERSION}`);
  });

  test('opens loopback ports only, where the addresses say', () => {
    const ports = Object.values(compose.services).flatMap((service) => service.ports);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    for (const address of Object.values(COMPOSE_ADDRESSES)) {
      const port = /127\.0\.0\.1:(\d+)/.exec(address)?.[1];
      expect(ports.some((entry) => entry.startsWith(`127.0.0.1:${port}:`))).toBe(true);
    }
  });
});

describe('readiness', () => {
  test.each([
    ['kafka-1:9093', { host: 'kafka-1', port: 9_093 }],
    [' kafka-1 ', { host: 'kafka-1', port: 9_092 }],
    ['[::1]:9092', { host: '::1', port: 9_092 }],
  ])('reads the broker %j', (text, expected) => {
    expect(parseBroker(text)).toEqual(expected);
  });

  test('refuses a broker that is a URL', () => {
    expect(() => parseBroker('http://kafka:9092')).toThrow('expected host:port');
  });

  test('asks for the supported versions in the protocol of the broker', () => {
    expect(kafkaRequest(18, 0, Buffer.alloc(0)).toString('hex')).toBe('0000000a0012000000000007ffff');
  });
});

describe('tools', () => {
  test.each([
    ['openjdk version "17.0.15" 2025-04-15', { version: '17.0.15', major: 17 }],
    ['java version "1.8.0_402"', { version: '1.8.0_402', major: 8 }],
    ['openjdk version "26" 2026-03-17', { version: '26', major: 26 }],
    ['The operation couldn’t be completed.', null],
  ])('reads the Java version of %j', (text, expected) => {
    expect(parseJavaVersion(text)).toEqual(expected);
  });

  test('are all reported, each with a use or an advice', async () => {
    const reports = await probeTools();
    expect(reports.map(({ tool }) => tool)).toEqual(['node', 'java', 'mvn', 'tar', 'docker']);
    for (const { detail } of reports) expect(detail).not.toBe('');
  });
});
