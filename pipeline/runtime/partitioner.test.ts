import { expect, test } from 'vitest';
import { murmur2, partitionOf } from './partitioner.ts';

// Vectors of Apache Kafka, clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java (testMurmur2).
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
])('murmur2 of %s', (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash);
});

test('one partition needs no hash', () => {
  expect(partitionOf(Buffer.from('x'), 1)).toBe(0);
});
