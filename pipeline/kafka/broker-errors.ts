/** Error codes of the Kafka protocol (protocol guide, "Error Codes"): names, and which of them pass by themselves. */

export const OFFSET_OUT_OF_RANGE = 1;
export const LEADER_NOT_AVAILABLE = 5;
export const MESSAGE_TOO_LARGE = 10;
export const RECORD_LIST_TOO_LARGE = 18;

const NAMES: ReadonlyMap<number, string> = new Map([
  [-1, 'unknown server error'],
  [1, 'offset out of range'],
  [2, 'corrupt message'],
  [3, 'unknown topic or partition'],
  [5, 'leader not available'],
  [6, 'not leader or follower'],
  [7, 'request timed out'],
  [8, 'broker not available'],
  [9, 'replica not available'],
  [10, 'message too large'],
  [13, 'network exception'],
  [14, 'coordinator is loading'],
  [15, 'coordinator not available'],
  [16, 'not coordinator'],
  [17, 'invalid topic'],
  [18, 'record list too large'],
  [19, 'not enough replicas'],
  [20, 'not enough replicas after append'],
  [22, 'illegal generation'],
  [25, 'unknown member'],
  [26, 'invalid session timeout'],
  [27, 'rebalance in progress'],
  [29, 'topic authorization failed'],
  [30, 'group authorization failed'],
  [31, 'cluster authorization failed'],
  [32, 'invalid timestamp'],
  [35, 'unsupported version'],
  [41, 'not controller'],
  [44, 'policy violation'],
  [56, 'storage error'],
  [70, 'fetch session not found'],
  [71, 'invalid fetch session epoch'],
  [72, 'listener not found'],
  [74, 'fenced leader epoch'],
  [75, 'unknown leader epoch'],
  [76, 'unsupported compression type'],
  [77, 'stale broker epoch'],
  [78, 'offset not available'],
  [79, 'member id required'],
  [87, 'invalid record'],
  [89, 'throttling quota exceeded'],
  [100, 'unknown topic id'],
  [103, 'inconsistent topic id'],
]);

const PASSING: ReadonlySet<number> = new Set([
  2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 56, 70, 71, 72, 74, 75, 77, 78, 89, 100, 103,
]);

/** Does it go away by itself, after a refresh of the metadata at most? */
export const isPassing = (code: number): boolean => PASSING.has(code);

/** Such as `not leader or follower (6)`. */
export const brokerErrorText = (code: number): string => `${NAMES.get(code) ?? 'error'} (${code})`;
