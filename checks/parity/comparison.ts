/** One quantity of ours beside the recorded one. */
export interface Comparison {
  /** The quantity, as in `fpn.2`, `nms 0.3`, `grad Fpn.C1.0.weight`. */
  name: string;
  passed: boolean;
  /** What was measured and what was allowed, for people. */
  detail: string;
}

/** Compares one kind of recording with what this project computes. */
export interface Parity {
  /** The kind, as in `retina` or `wbc`. */
  kind: string;
  /** Whether a file of this name (without folder) belongs to this kind. */
  handles(fileName: string): boolean;
  /** Every comparison that one file allows. Must hold for files of other seeds, sizes and widths. */
  compare(path: string): AsyncIterable<Comparison> | Iterable<Comparison>;
}
