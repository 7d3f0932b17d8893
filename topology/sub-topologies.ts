/** Which processors share a task: those whose records keep their key. A Kafka hop only where the key changes. */
import type { SubTopology } from '#pipeline/runtime/graph.ts';
import alert from './processors/alert/index.ts';
import enrich from './processors/enrich/index.ts';
import normalizeBybit from './processors/normalize-bybit/index.ts';
import normalizeEvm from './processors/normalize-evm/index.ts';
import normalizeHelius from './processors/normalize-helius/index.ts';
import score from './processors/score/index.ts';

export const subTopologies: readonly SubTopology[] = [
  { name: 'normalize-evm', processors: [normalizeEvm] },
  { name: 'normalize-bybit', processors: [normalizeBybit] },
  { name: 'normalize-helius', processors: [normalizeHelius] },
  { name: 'detect', processors: [enrich, score, alert] },
];
