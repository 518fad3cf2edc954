type Reals = Float32Array | Float64Array;
/** Threads, 0 for one per processor; then null, or shared memory whose first value ends the op when it is not 0. */
type Execution = [threads: number, stop: Int32Array | null];

type NmsArguments = [
  boxes: Reals,
  scores: Reals,
  groups: Int32Array | null,
  dim: number,
  iouThreshold: number,
  inclusive: boolean,
  maxBoxes: number,
  ...Execution,
];
type BoxIouArguments = [a: Reals, b: Reals, dim: number, inclusive: boolean, ...Execution];
type RoiArguments = [
  sizes: Int32Array,
  scales: Float64Array,
  batch: number,
  channels: number,
  boxes: Reals,
  images: Int32Array | null,
  levels: Int32Array | null,
  dim: number,
  pool: Int32Array,
  single: boolean,
  ratio: number,
  aligned: boolean,
  ...Execution,
];

/** What csrc/napi exports beside its twin on another thread, `NAMEAsync`. */
export interface NativeOps {
  nms(...args: NmsArguments): Int32Array;
  boxIou(...args: BoxIouArguments): Float64Array;
  roiAlign(maps: readonly Float32Array[], ...args: RoiArguments): Float32Array;
  roiAlignGrad(dy: Float32Array, ...args: RoiArguments): Float32Array[];
}

/** What csrc/napi/addon.cc exports. */
export type NativeBinding = NativeOps & {
  [Op in keyof NativeOps as `${Op}Async`]: (...args: Parameters<NativeOps[Op]>) => Promise<ReturnType<NativeOps[Op]>>;
};
