/** One fault of one line. */
export interface PlantedBug {
  readonly name: string;
  /** Under `pipeline/`. */
  readonly file: string;
  /** Occurs once in the file. */
  readonly from: string;
  readonly to: string;
}
