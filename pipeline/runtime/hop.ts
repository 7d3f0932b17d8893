/**
 * The hop in memory: what a task writes goes at once to the tasks of this process that read it, and to Kafka for all
 * others and for recovery (engine rules, section 10). Lossy by design: what a reader does not take comes from Kafka.
 *
 * A record is handed over once its producer has it, and the tasks of a process share one producer. So who waits for the
 * producer's acknowledgements, as a checkpoint does, has waited for everything that was taken from memory too.
 */
import type { Handed } from '#pipeline/merge/handover.ts';

/** `mixed`: a counted part of records and promises is left to Kafka, for tests. */
export type HopMode = 'on' | 'off' | 'mixed';

/** Where a task takes in what one writer hands over for one partition. */
export interface Door {
  readonly writer: string;
  /** `topic/partition`, by logical topic name. */
  readonly destination: string;
  /** What is not next is passed over. Throws STREAM_FORKED when it does not follow from what was taken before. */
  take(record: Handed): void;
  /** The writer has written up to `sequence`, and nothing before `logTimeMs` follows. */
  promise(logTimeMs: number, sequence: number): void;
}

/** The way from one writer to its readers here. */
export interface HopRoute {
  /** A record that the producer has. */
  give(destination: string, record: Handed): void;
  /** Nothing before `logTimeMs` follows what was given. False: nobody was told. */
  promise(logTimeMs: number, sequenceOf: (destination: string) => number): boolean;
}

export interface Hop {
  /** Readers come to the route of a writer, and leave it, at any time. */
  from(writer: string): HopRoute;
  connect(doors: readonly Door[]): void;
  disconnect(doors: readonly Door[]): void;
}

/** Of so many, one is left to Kafka in `mixed`. */
const MIXED_PERIOD = 5;

export function createHop(mode: HopMode): Hop {
  /** Writer -> destination -> doors. */
  const routes = new Map<string, Map<string, Door[]>>();
  let count = 0;
  const routeOf = (writer: string): Map<string, Door[]> => {
    const route = routes.get(writer) ?? new Map<string, Door[]>();
    routes.set(writer, route);
    return route;
  };
  const isLeftOut = (): boolean => mode === 'mixed' && ++count % MIXED_PERIOD === 0;
  return {
    from: (writer) => {
      const route = routeOf(writer);
      return {
        give: (destination, record) => {
          const doors = route.get(destination);
          if (doors === undefined || isLeftOut()) return;
          for (const door of doors) door.take(record);
        },
        promise: (logTimeMs, sequenceOf) => {
          if (route.size === 0 || isLeftOut()) return false;
          for (const [destination, doors] of route) {
            const sequence = sequenceOf(destination);
            for (const door of doors) door.promise(logTimeMs, sequence);
          }
          return true;
        },
      };
    },
    connect: (doors) => {
      if (mode === 'off') return;
      for (const door of doors) {
        const route = routeOf(door.writer);
        route.set(door.destination, [...(route.get(door.destination) ?? []), door]);
      }
    },
    disconnect: (doors) => {
      for (const door of doors) {
        const route = routeOf(door.writer);
        const others = route.get(door.destination)?.filter((other) => other !== door) ?? [];
        if (others.length === 0) route.delete(door.destination);
        else route.set(door.destination, others);
      }
    },
  };
}
