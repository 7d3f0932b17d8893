/** All processors, by name. The graph is derived from what they declare. */
import alert from './alert/index.ts';
import enrich from './enrich/index.ts';
import normalizeBybit from './normalize-bybit/index.ts';
import normalizeEvm from './normalize-evm/index.ts';
import normalizeHelius from './normalize-helius/index.ts';
import score from './score/index.ts';

export const processors = [normalizeEvm, normalizeBybit, normalizeHelius, enrich, score, alert] as const;
