/** What a join gives to the logic of a processor, and what it passes on. */

/** A record of one side. */
export interface JoinSide<V> {
  /** Event time. */
  readonly timeMs: number;
  readonly value: V;
  /** As it was given; empty when it was not. */
  readonly id: string;
}

/** A pair, or an unmatched record with null for the other side. */
export interface Joined<Left, Right> {
  readonly key: string;
  readonly left: Left;
  readonly right: Right;
  /** Event time: the later of both. */
  readonly timeMs: number;
  /** It had been passed on, and holds no more. */
  readonly isRetraction: boolean;
}

/** What `joined` gets, by the kind of join. */
export interface JoinedOf<L, R> {
  readonly inner: Joined<JoinSide<L>, JoinSide<R>>;
  readonly left: Joined<JoinSide<L>, JoinSide<R> | null>;
  readonly outer: Joined<JoinSide<L>, JoinSide<R> | null> | Joined<null, JoinSide<R>>;
}

/** Records are not compared: one that is given twice is there twice. */
export interface JoinStore<L, R> {
  /** Takes in a record. `id` names it among those of its key and time, if it is ever removed. */
  left(key: string, eventTimeMs: number, value: L, id?: string): void;
  right(key: string, eventTimeMs: number, value: R, id?: string): void;
  /**
   * Takes out a record, the first one with this time and id. False when it is not there: removed before it came (the
   * removal is not kept; counted as dropped), or too late (counted as late).
   */
  removeLeft(key: string, eventTimeMs: number, id?: string): boolean;
  removeRight(key: string, eventTimeMs: number, id?: string): boolean;
}
