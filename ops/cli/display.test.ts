import { describe, expect, test } from 'vitest';
import type { Clock } from '#pipeline/clock.ts';
import { createDisplay, type Summary } from './display.ts';

function setUp(options: { isTerminal: boolean; columns?: number; environment?: Record<string, string> }) {
  let nowMs = 0;
  const ticks: { ms: number; tick: () => void }[] = [];
  const clock: Clock = {
    nowMs: () => nowMs,
    sleep: () => Promise.resolve(),
    every: (ms, tick) => {
      ticks.push({ ms, tick });
      return () => ticks.splice(0);
    },
    soon: (work) => work(),
  };
  const written: string[] = [];
  const stream = {
    columns: options.columns ?? 80,
    write: (chunk: unknown) => {
      written.push(String(chunk));
      return true;
    },
  };
  const { isTerminal, environment = {} } = options;
  const display = createDisplay({ stream, isTerminal, clock, environment });
  const pass = (ms: number) => {
    nowMs += ms;
    for (const { tick } of ticks) tick();
  };
  return { display, written, text: () => written.join(''), pass };
}

const summary = (change: Partial<Summary> = {}): Summary => ({
  recordsPerSecond: 1234.6,
  lag: 0,
  alerts: 1,
  waiting: null,
  ...change,
});

const PLAIN = { NO_COLOR: '1' };

describe('display', () => {
  test('shows one line for each service when it is ready, and how long it took', () => {
    const { display, text } = setUp({ isTerminal: false });
    display.service('kafka', 'starting', '127.0.0.1:9092', 0);
    display.service('kafka', 'ready', '127.0.0.1:9092', 1_840);
    display.service('registry', 'failed', 'no Java', 12);
    expect(text()).toBe(
      'ready   kafka        127.0.0.1:9092 (1.8 s)\nfailed  registry     no Java (12 ms)\n',
    );
  });

  test('writes a plain line every 5 s where there is no terminal', () => {
    const { display, written, pass } = setUp({ isTerminal: false });
    for (let i = 0; i < 100; i++) {
      display.summary(summary({ alerts: i }));
      pass(100);
    }
    expect(written).toEqual(['1,235 records/s  lag 0  0 alerts\n', '1,235 records/s  lag 0  50 alerts\n']);
  });

  test('draws the live line at most four times a second, and the last one in the end', () => {
    const { display, written, pass } = setUp({ isTerminal: true, environment: PLAIN });
    for (let i = 0; i < 50; i++) display.summary(summary({ alerts: i }));
    expect(written.length).toBe(1);
    pass(250);
    expect(written.length).toBe(2);
    expect(written[1]).toContain('49 alerts');
    pass(250);
    expect(written.length).toBe(2);
  });

  test('puts an alert above the live line', () => {
    const { display, text } = setUp({ isTerminal: true, environment: PLAIN });
    display.summary(summary());
    display.alert({ op: 'assert', severity: 75, text: '1,000 ETH left binance' });
    expect(text()).toBe(
      '\r\u001b[K1,235 records/s  lag 0  1 alert\r\u001b[Kalert    75  1,000 ETH left binance\n\r\u001b[K1,235 records/s  lag 0  1 alert',
    );
  });

  test('cuts the live line to the width of the terminal', () => {
    const { display, written } = setUp({ isTerminal: true, columns: 20, environment: PLAIN });
    display.summary(summary({ waiting: '\u{1f433}'.repeat(30) }));
    expect(written[0]).toBe('\r\u001b[K1,235 records/s  l~');
  });

  test('nothing in an alert reaches the terminal as a command', () => {
    const { display, text } = setUp({ isTerminal: false });
    display.alert({
      op: 'retract',
      severity: 5,
      text: 'a\u001b[2Jb\u001b]0;title\u0007c\u009b31md\r\ne\u202ef\u0000g\u2028h',
    });
    expect(text()).toBe('undone    5  abcd efg h\n');
  });

  test('uses colours on a terminal only, and not where NO_COLOR is set', () => {
    const shown = (options: Parameters<typeof setUp>[0]) => {
      const { display, text } = setUp(options);
      display.warn('w');
      return text().includes('\u001b[33m');
    };
    expect(shown({ isTerminal: true })).toBe(true);
    expect(shown({ isTerminal: true, environment: PLAIN })).toBe(false);
    expect(shown({ isTerminal: false })).toBe(false);
  });

  test('leaves the last summary behind and draws no more', () => {
    const { display, text, pass } = setUp({ isTerminal: true, environment: PLAIN });
    display.summary(summary({ alerts: 1 }));
    display.summary(summary({ alerts: 2 }));
    display.finish();
    display.finish();
    display.summary(summary({ alerts: 3 }));
    pass(1_000);
    expect(text().endsWith('\r\u001b[K1,235 records/s  lag 0  2 alerts\n')).toBe(true);
  });
});
