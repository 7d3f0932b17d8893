/** Sizes that decide how work is cut into pieces, never what comes out: the simulation makes them tiny. */
export interface Limits {
  /** Records that a task folds before the others have their turn. */
  readonly turnRecords: number;
  /** Bytes that may wait in one partition before its fetching is paused. */
  readonly maxWaitingBytes: number;
  /** Changelog bytes after which a snapshot is written, and at least twice the size of the last one. */
  readonly snapshotBytes: number;
  /** One record of a changelog group; a single larger entry goes alone. */
  readonly changelogRecordBytes: number;
  /** Values of one store that are kept decoded, of which a large one counts as several; as many older ones beside them. */
  readonly recentValues: number;
  /**
   * Of each control topic, read by those who start: there stand the last promises of those who ended at a cut, and will not
   * repeat them. Others do, so that without a cut none are needed.
   */
  readonly recentTicks: number;
  /** How long a task at least is searched for a record that ends the process; nothing of it is seen while none does. */
  readonly searchMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  turnRecords: 256,
  maxWaitingBytes: 2 * 1024 * 1024,
  snapshotBytes: 4 * 1024 * 1024,
  changelogRecordBytes: 256 * 1024,
  recentValues: 20_000,
  recentTicks: 100,
  searchMs: 60_000,
};
