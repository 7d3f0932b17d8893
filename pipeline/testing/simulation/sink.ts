/** A database outside: rows and positions change together, compared with what was read. Two deliveries share one. */
import { PipelineError } from '#pipeline/errors.ts';
import type { Sink, SinkState, WriterPosition } from '#pipeline/rooms.ts';
import type { Owner, Scheduler } from './scheduler.ts';

export interface Database {
  readonly rows: string[];
  positions: readonly WriterPosition[];
  resume: SinkState['resume'];
}

const nameOf = ({ topic, partition, writer }: WriterPosition): string => `${topic}/${partition}/${writer}`;

export function createSink(
  database: Database,
  scheduler: Scheduler,
  owner: Owner,
  delayMs: () => number,
): Sink {
  const later = <T>(ask: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      scheduler.after(scheduler.random.between(0, delayMs()), owner, () => {
        try {
          resolve(ask());
        } catch (error) {
          reject(error);
        }
      });
    });
  return {
    check: async () => {},
    load: () => later(() => ({ positions: database.positions, resume: database.resume })),
    write: (batch) =>
      later(() => {
        const known = new Map(database.positions.map((position) => [nameOf(position), position]));
        for (const before of batch.before) {
          const found = known.get(nameOf(before));
          if ((found?.sequence ?? 0) !== before.sequence)
            throw new PipelineError('SINK_STALE', `${nameOf(before)}: expected ${before.sequence}`);
        }
        for (const after of batch.after) known.set(nameOf(after), after);
        for (const { topic, partition, writer, sequence } of batch.records)
          database.rows.push(`${topic.name}/${partition}/${writer}:${sequence}`);
        database.positions = [...known.values()];
        const resume = new Map(database.resume.map((place) => [`${place.topic}/${place.partition}`, place]));
        for (const place of batch.resume) resume.set(`${place.topic}/${place.partition}`, place);
        database.resume = [...resume.values()];
      }),
    close: async () => {},
    status: () => ({ detail: '' }),
  };
}
