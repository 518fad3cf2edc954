import type { VoxelArray } from '@mdt/core';
import type { ComponentsResult } from './reference/components.js';

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

type ResampleArguments = [
  size: Int32Array,
  channels: number,
  outputSize: Int32Array,
  /** [dim, dim + 1] */
  affine: Float64Array,
  displacement: Float32Array | null,
  displacementStep: number,
  coordinates: Float32Array | null,
  dim: number,
  /** Place in the list of `ResampleOptions.order`. */
  order: number,
  /** Place in the list of `ResampleOptions.mode`. */
  mode: number,
  fill: number,
  ...Execution,
];

type SoftNmsArguments = [
  boxes: Reals,
  scores: Reals,
  groups: Int32Array | null,
  dim: number,
  gaussian: boolean,
  iouThreshold: number,
  sigma: number,
  minScore: number,
  inclusive: boolean,
  maxBoxes: number,
  ...Execution,
];
type GreedyClustersArguments = [
  boxes: Reals,
  groups: Int32Array,
  links: Int32Array | null,
  dim: number,
  iouThreshold: number,
  inclusive: boolean,
  ...Execution,
];
type WeightedClustersArguments = [
  boxes: Reals,
  scores: Reals,
  weights: Reals,
  overlaps: Reals,
  groups: Int32Array,
  patches: Int32Array,
  dim: number,
  iouThreshold: number,
  predictionsPerTile: number,
  missingWeight: number,
  sizeWeight: boolean,
  countBoxes: boolean,
  inclusive: boolean,
  ...Execution,
];
type ComponentsArguments = [
  values: VoxelArray,
  size: Int32Array,
  dim: number,
  reach: number,
  equal: boolean,
  scores: Float32Array | null,
  ...Execution,
];
type PasteMasksArguments = [
  masks: Float32Array,
  maskSize: Int32Array,
  boxes: Reals,
  size: Int32Array,
  dim: number,
  threshold: number | null,
  ...Execution,
];

/** What csrc/napi exports beside its twin on another thread, `NAMEAsync`. */
export interface NativeOps {
  nms(...args: NmsArguments): Int32Array;
  boxIou(...args: BoxIouArguments): Float64Array;
  /** `measure` is a place in `pairMeasures`. */
  boxPairs(a: Reals, b: Reals, dim: number, inclusive: boolean, measure: number, ...rest: Execution): Float64Array;
  components(...args: ComponentsArguments): ComponentsResult;
  pasteMasks(...args: PasteMasksArguments): Float32Array | Uint8Array;
  greedyClusters(...args: GreedyClustersArguments): Int32Array;
  weightedClusters(
    ...args: WeightedClustersArguments
  ): [boxes: Float64Array, scores: Float64Array, groups: Int32Array, members: Int32Array];
  softNms(...args: SoftNmsArguments): [kept: Int32Array, scores: Float64Array];
  resample(values: VoxelArray, ...args: ResampleArguments): VoxelArray;
  roiAlign(maps: readonly Float32Array[], ...args: RoiArguments): Float32Array;
  roiAlignGrad(dy: Float32Array, ...args: RoiArguments): Float32Array[];
}

/** What csrc/napi/addon.cc exports. */
export type NativeBinding = NativeOps & {
  [Op in keyof NativeOps as `${Op}Async`]: (...args: Parameters<NativeOps[Op]>) => Promise<ReturnType<NativeOps[Op]>>;
};

/** The ops that run on a CUDA device too. */
export type CudaOp = 'nms' | 'boxIou' | 'boxPairs' | 'roiAlign' | 'roiAlignGrad';

export interface CudaDevice {
  name: string;
  /** As in '9.0'. */
  computeCapability: string;
  memoryBytes: number;
}

/** What csrc/cuda/addon.cc exports: the ops, with the number of the device in the place of `threads`, and more. */
export type CudaBinding = Pick<NativeBinding, CudaOp | `${CudaOp}Async`> & {
  /** @throws Error with what the driver says where there is no device */
  cudaDevices(): CudaDevice[];
} & PointerOps;

/** The end of the arguments of an op on device memory. */
type Queue = [device: number, stream: bigint];
type PointerRois = [
  dim: number,
  double: boolean,
  maps: BigUint64Array,
  sizes: Int32Array,
  scales: Float64Array,
  batch: number,
  channels: number,
  count: number,
  boxes: bigint,
  images: bigint,
  levels: bigint,
  pool: Int32Array,
  single: boolean,
  ratio: number,
  aligned: boolean,
];

/** Ops on device memory; addresses are BigInt, 0n is null. See csrc/cuda. */
export interface PointerOps {
  nmsWorkspaceBytes(count: number, dim: number, device: number): number;
  nmsPointers(
    count: number,
    dim: number,
    double: boolean,
    boxes: bigint,
    scores: bigint,
    groups: bigint,
    iouThreshold: number,
    inclusive: boolean,
    maxBoxes: number,
    kept: bigint,
    keptCount: bigint,
    workspace: bigint,
    workspaceBytes: number,
    ...queue: Queue
  ): void;
  boxIouPointers(
    dim: number,
    double: boolean,
    countA: number,
    countB: number,
    a: bigint,
    b: bigint,
    inclusive: boolean,
    overlap: number,
    out: bigint,
    ...queue: Queue
  ): void;
  roiAlignPointers(...args: [...PointerRois, out: bigint, ...Queue]): void;
  roiAlignGradPointers(
    ...args: [...PointerRois, dy: bigint, deterministic: boolean, workspace: bigint, workspaceBytes: number, ...Queue]
  ): void;
  roiAlignGradWorkspaceBytes(count: number, dim: number): number;
}
