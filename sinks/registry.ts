/** All sinks, one line each. The registry test compares names with folders and gives each its exam. */
import type { SinkDefinition } from '#pipeline/rooms.ts';
import postgres from './postgres/index.ts';
import websocket from './websocket/index.ts';

export const sinks: readonly SinkDefinition[] = [postgres, websocket];
