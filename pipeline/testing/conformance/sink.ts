/** The exam of every sink. What it asks for is the contract of `Sink` in `pipeline/rooms.ts`. */
import { deepEqual, equal, notEqual, ok } from 'node:assert/strict';
import type { z } from 'zod';
import { isPipelineError } from '#pipeline/errors.ts';
import type {
  Sink,
  SinkBatch,
  SinkContext,
  SinkDefinition,
  SinkRecord,
  WriterPosition,
} from '#pipeline/rooms.ts';
import type { Topic } from '#schemas/topics.ts';

/** A sink closes within this time when nobody is slow. */
const CLOSE_BUDGET_MS = 5_000;

export interface SinkExam<C extends z.ZodType = z.ZodType> {
  readonly definition: SinkDefinition<C>;
  /** Parsed. Points to a place of this exam's own: empty at the start of each case. */
  config(): z.infer<C>;
  context(): SinkContext;
  /** A value of a topic, with `text` wherever strangers can write. */
  sample(topic: Topic, id: string, text: string): unknown;
  readonly hostileTexts: readonly string[];
}

export interface ExamCase {
  /** A sentence. */
  readonly name: string;
  run(): Promise<void>;
}

/** The positions after a batch of `count` records that follows sequence `first - 1`, as the digest of a test. */
const digestOf = (sequence: number): string => sequence.toString(16).padStart(8, '0');

/** A batch of one record for each text and topic, by one writer for each topic, from sequence `first` on. */
export function sampleBatch(
  topics: readonly Topic[],
  options: { texts: readonly string[]; first?: number; writer?: string; sample: SinkExam['sample'] },
): SinkBatch {
  const { texts, first = 1, writer = 'exam-0', sample } = options;
  const records: SinkRecord[] = topics.flatMap((topic) =>
    texts.map((text, index) => ({
      topic,
      partition: 0,
      offset: first + index,
      key: text,
      value: sample(topic, `${topic.name}:${first + index}`, text),
      logTimeMs: 1_763_700_000_000 + first + index,
      writer,
      sequence: first + index,
    })),
  );
  const last = first + texts.length - 1;
  const at = (sequence: number): WriterPosition[] =>
    topics.map(({ name }) => ({
      topic: name,
      partition: 0,
      writer,
      sequence,
      digest: sequence === 0 ? '' : digestOf(sequence),
    }));
  return {
    records,
    before: at(first - 1),
    after: at(last),
    resume: topics.map(({ name }) => ({ topic: name, partition: 0, nextOffset: last + 1 })),
  };
}

/**
 * The cases; run each as a test of its own:
 *
 *     for (const { name, run } of sinkExam(exam)) test(name, run);
 */
export function sinkExam<C extends z.ZodType>(exam: SinkExam<C>): readonly ExamCase[] {
  const { definition, sample, hostileTexts } = exam;
  const batch = (first: number, texts: readonly string[] = ['one', 'two']) =>
    sampleBatch(definition.inputs, { texts, first, sample });

  /** Opens a sink, uses it, closes it whatever happens. */
  async function withSink(config: z.infer<C>, use: (sink: Sink) => Promise<void>): Promise<void> {
    const sink = definition.create(config, exam.context());
    try {
      await sink.check(new AbortController().signal);
      await use(sink);
    } finally {
      await sink.close();
    }
  }

  const loaded = async (sink: Sink) => {
    const state = await sink.load();
    if (state === null) return null;
    return { positions: state.positions.map(placeOf).sort(), resume: state.resume.map(resumeOf).sort() };
  };
  const stateAfter = (written: SinkBatch) => ({
    positions: written.after.map(placeOf).sort(),
    resume: written.resume.map(resumeOf).sort(),
  });

  return [
    {
      name: 'starts and stops twice, and is closed twice without harm',
      run: async () => {
        const config = exam.config();
        for (let round = 0; round < 2; round += 1) {
          await withSink(config, async (sink) => {
            await sink.check(new AbortController().signal);
            notEqual(sink.status().detail, '');
            await sink.close();
          });
        }
      },
    },
    {
      name: 'loads what it has written, also in another life',
      run: async () => {
        const config = exam.config();
        const first = batch(1);
        const second = batch(3);
        await withSink(config, async (sink) => {
          const before = await loaded(sink);
          if (before !== null) deepEqual(before, { positions: [], resume: [] });
          await sink.write(first);
          if (before !== null) deepEqual(await loaded(sink), stateAfter(first));
        });
        await withSink(config, async (sink) => {
          await sink.write(second);
          const after = await loaded(sink);
          if (after !== null) deepEqual(after, stateAfter(second));
        });
      },
    },
    {
      name: 'refuses a batch that does not follow what it holds, and changes nothing',
      run: async () => {
        const config = exam.config();
        await withSink(config, async (sink) => {
          if ((await sink.load()) === null) return; // keeps no positions: nothing to compare with
          await sink.write(batch(1));
          const held = await loaded(sink);
          for (const wrong of [batch(1), batch(7), batch(2)]) {
            await rejectsStale(() => sink.write(wrong));
            deepEqual(await loaded(sink), held);
          }
          await sink.write(batch(3));
        });
      },
    },
    {
      name: 'takes hostile text in every name',
      run: () => withSink(exam.config(), (sink) => sink.write(batch(1, hostileTexts))),
    },
    {
      name: 'takes an empty batch',
      run: () =>
        withSink(exam.config(), (sink) => sink.write({ records: [], before: [], after: [], resume: [] })),
    },
    {
      name: 'closes promptly after a write',
      run: async () => {
        const { clock } = exam.context();
        const sink = definition.create(exam.config(), exam.context());
        await sink.check(new AbortController().signal);
        await sink.write(batch(1));
        const startedMs = clock.nowMs();
        await sink.close();
        ok(clock.nowMs() - startedMs < CLOSE_BUDGET_MS, 'expected close within 5 s');
      },
    },
  ];
}

const placeOf = ({ topic, partition, writer, sequence, digest }: WriterPosition): string =>
  `${topic}/${partition}/${writer}:${sequence};${digest}`;

const resumeOf = ({ topic, partition, nextOffset }: SinkBatch['resume'][number]): string =>
  `${topic}/${partition}@${nextOffset}`;

async function rejectsStale(write: () => Promise<void>): Promise<void> {
  const error = await write().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  equal(isPipelineError(error, 'SINK_STALE'), true, `expected SINK_STALE, found ${String(error)}`);
}
