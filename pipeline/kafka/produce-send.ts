/** Sends the parts of a round to the nodes that lead them, and looks at each answer. */
import { PipelineError } from '../errors.ts';
import { brokerErrorText, isPassing, MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE } from './broker-errors.ts';
import { createNodeLinks } from './node-links.ts';
import { PRODUCE, type ProduceAnswer, produceAnswer, produceBody } from './produce.ts';
import type { DriverContext } from './producer.ts';
import type { Batch } from './producer-queue.ts';

export interface Sender {
  /** Returns the parts to send again. Throws KAFKA_REFUSED for an error that does not pass. */
  send(parts: readonly Batch[]): Promise<readonly Batch[]>;
  /** Looks for the leaders of these. */
  refresh(parts: readonly Batch[]): Promise<void>;
}

const placeOf = ({ topic, partition }: { topic: string; partition: number }): string =>
  `${topic}/${partition}`;

/** Has connections of its own; they close when the signal aborts. */
export function createSender(options: {
  context: DriverContext;
  signal: AbortSignal;
  onAcknowledged: (part: Batch, answer: ProduceAnswer) => void;
  onTooLarge: (part: Batch) => void;
}): Sender {
  const { cluster, outage } = options.context;
  const { signal, onAcknowledged, onTooLarge } = options;
  const links = createNodeLinks(cluster, signal);

  /** False: send it again. */
  const settle = (part: Batch, answer: ProduceAnswer | undefined): boolean => {
    const place = placeOf(part);
    if (answer?.error === 0) {
      outage.partitionRecovered('written to', place);
      onAcknowledged(part, answer);
      return true;
    }
    if (answer === undefined) {
      outage.partitionFailed('written to', place, 'no answer for this partition');
      return false;
    }
    const { error } = answer;
    if (isPassing(error)) {
      outage.partitionFailed('written to', place, brokerErrorText(error));
      return false;
    }
    if ((error === MESSAGE_TOO_LARGE || error === RECORD_LIST_TOO_LARGE) && part.count > 1) {
      onTooLarge(part);
      return true;
    }
    throw new PipelineError(
      'KAFKA_REFUSED',
      `${place}: Kafka refused ${part.count} records of ${part.bytes} bytes: ${brokerErrorText(error)}; ` +
        'compare the topic settings and the rights of this client',
      { facts: { topic: part.topic, partition: part.partition, code: error, bytes: part.bytes } },
    );
  };

  /** The parts that one node leads. */
  const sendTo = async (node: number, parts: readonly Batch[]): Promise<readonly Batch[]> => {
    let answers: ReadonlyMap<string, ProduceAnswer>;
    try {
      const link = links.open(node) ?? (await links.get(node));
      const answer = produceAnswer(await link.request(PRODUCE, produceBody(parts)));
      link.throttle(answer.throttleMs);
      answers = new Map(answer.answers.map((one) => [placeOf(one), one]));
    } catch (error) {
      links.drop(node);
      if (!signal.aborted) outage.failed(error);
      return parts;
    }
    return parts.filter((part) => !settle(part, answers.get(placeOf(part))));
  };

  return {
    send: async (parts) => {
      const byNode = Map.groupBy(parts, ({ topic, partition }) => cluster.leader(topic, partition));
      const homeless = byNode.get(null) ?? [];
      for (const part of homeless) outage.partitionFailed('written to', placeOf(part), 'no leader is known');
      const sent = [...byNode].filter((group): group is [number, Batch[]] => group[0] !== null);
      const left = await Promise.all(sent.map(([node, members]) => sendTo(node, members)));
      return [...homeless, ...left.flat()];
    },
    refresh: async (parts) => {
      try {
        await cluster.refresh(new Set(parts.map(({ topic }) => topic)));
      } catch (error) {
        if (!signal.aborted) outage.failed(error);
      }
    },
  };
}
