/** A file that `mdt view` serves: its name, and where it is below the page. */
export interface ServedFile {
  name: string;
  url: string;
}

/** An image with what belongs to it. */
export interface ServedCase {
  id: string;
  image: ServedFile[];
  truth?: ServedFile[];
  segmentation?: ServedFile[];
  /** Number of axes, and millimetres per voxel in array order, where its files do not say so. */
  dim?: 2 | 3;
  spacing?: number[];
}

/** What `mdt view` puts beside the page. */
export interface Session {
  title: string;
  cases: ServedCase[];
  predictions?: ServedFile;
  model?: ServedFile[];
}
