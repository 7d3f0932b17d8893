import type { Kafka } from '#pipeline/kafka/types.ts';
import type { Task } from './task.ts';

/** Shows the progress of tasks as group offsets, for lag tools only: the checkpoint is the truth. One group a sub-topology. */
export async function commitLag(
  kafka: Kafka,
  group: string,
  tasks: readonly Task[],
  physicalName: (topic: string) => string,
): Promise<void> {
  const admin = kafka.admin();
  try {
    for (const [subTopology, members] of Map.groupBy(tasks, ({ id }) => id.subTopology)) {
      const offsets = new Map<string, { topic: string; partition: number; offset: number }>();
      for (const { topic, partition, ...inbound } of members.flatMap(({ inbounds }) => inbounds)) {
        const { offset } = inbound.resumePoint();
        const name = `${topic}/${partition}`;
        const lowest = Math.min(offset, offsets.get(name)?.offset ?? offset);
        offsets.set(name, { topic: physicalName(topic), partition, offset: lowest });
      }
      await admin.commitOffsets(`${group}.${subTopology}`, [...offsets.values()]);
    }
  } finally {
    await admin.close();
  }
}
