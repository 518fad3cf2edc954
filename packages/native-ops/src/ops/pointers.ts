import { type Dim, type Extent, InputError, refuseUnknownKeys } from '@mdt/core';
import { cudaBinding } from '#load';
import type { PointerOps } from '../binding.js';
import { expectName, expectSizes } from './options.js';

/** The address of memory of a CUDA device; `0n` is null. */
export type DevicePointer = bigint;

/** What every op on device memory is told. */
export interface PointerOptions {
  /** Axes, 2 or 3. */
  dim: Dim;
  /** Type of boxes, scores and IoU at their addresses. Default `float32`. */
  dtype?: 'float32' | 'float64';
  /** Number of the device that the memory is on. Default 0. */
  device?: number;
  /** The `cudaStream_t` that the op is queued on. Default 0n, the legacy default stream. */
  stream?: bigint;
}

/** Device memory for an op's own use, aligned to 256 bytes; free again once the stream has come past the op. */
export interface Workspace {
  pointer: DevicePointer;
  bytes: number;
}

export interface NmsPointers extends PointerOptions {
  /** Number of boxes. */
  count: number;
  /** `[count, 2 * dim]`. */
  boxes: DevicePointer;
  /** `[count]`. */
  scores: DevicePointer;
  /** int32 `[count]`: boxes of different groups (image, class) never meet. Default: one group. */
  groups?: DevicePointer;
  iouThreshold: number;
  extent?: Extent;
  maxBoxes?: number;
  /** int32 `[min(count, maxBoxes)]`: receives the indices of the boxes kept, best first. */
  kept: DevicePointer;
  /** int32: receives their number. */
  keptCount: DevicePointer;
  /** `nmsWorkspaceBytes` says how much. */
  workspace: Workspace;
}

export interface BoxIouPointers extends PointerOptions {
  countA: number;
  countB: number;
  a: DevicePointer;
  b: DevicePointer;
  extent?: Extent;
  /** Default `iou`. */
  measure?: 'iou' | 'giou' | 'diou';
  /** `[countA, countB]`. */
  out: DevicePointer;
}

export interface RoiAlignPointers extends PointerOptions {
  /** float32 `[batch, ...size, channels]` each; `scale` is cells per unit of the boxes, per axis. The gradient overwrites them. */
  maps: readonly { values: DevicePointer; size: ArrayLike<number>; scale: ArrayLike<number> }[];
  batch: number;
  channels: number;
  /** Number of boxes. */
  count: number;
  boxes: DevicePointer;
  /** int32 `[count]`. Default: all on image 0. */
  images?: DevicePointer;
  /** int32 `[count]`. Default: all on map 0. */
  levels?: DevicePointer;
  poolSize: ArrayLike<number>;
  sampling?: 'average' | 'single';
  samplingRatio?: number;
  aligned?: boolean;
}

const noLimit = 2 ** 31 - 1;

/**
 * The CUDA ops on memory that is on the device already. They queue their work and return at once; results are there when the
 * stream has come so far. Nothing is copied to the host. Counts, sizes and alignments are checked; that an address
 * leads to as much memory as it should cannot be: a wrong one ends in an error of the device, as in any CUDA program.
 *
 * @throws InputError where there is no CUDA device, TypeError and RangeError for arguments, Error with what the device says
 */
export const cudaPointers = {
  nmsWorkspaceBytes: ({ count, dim, device = 0 }: { count: number; dim: Dim; device?: number }): number =>
    ops('nmsWorkspaceBytes').nmsWorkspaceBytes(count, dim, device),

  nms(call: NmsPointers): void {
    const own = ['count', 'boxes', 'scores', 'groups', 'iouThreshold', 'extent', 'maxBoxes', 'kept', 'keptCount', 'workspace'];
    const { double, device, stream, inclusive } = common('cudaPointers.nms', call, own);
    const { count, dim, boxes, scores, groups = 0n, iouThreshold, maxBoxes = noLimit, kept, keptCount, workspace } = call;
    const { pointer, bytes } = workspace;
    const args = [count, dim, double, boxes, scores, groups, iouThreshold, inclusive, maxBoxes, kept, keptCount] as const;
    ops('nms').nmsPointers(...args, pointer, bytes, device, stream);
  },

  boxIou(call: BoxIouPointers): void {
    const own = ['countA', 'countB', 'a', 'b', 'extent', 'measure', 'out'];
    const { double, device, stream, inclusive } = common('cudaPointers.boxIou', call, own);
    const measures = ['iou', 'giou', 'diou'] as const;
    const measure = measures.indexOf(expectName('cudaPointers.boxIou', 'measure', call.measure ?? 'iou', measures));
    const { dim, countA, countB, a, b, out } = call;
    ops('boxIou').boxIouPointers(dim, double, countA, countB, a, b, inclusive, measure, out, device, stream);
  },

  /** `out`: float32 `[count, ...poolSize, channels]`. */
  roiAlign(call: RoiAlignPointers & { out: DevicePointer }): void {
    const { args, device, stream } = rois('cudaPointers.roiAlign', call, ['out']);
    ops('roiAlign').roiAlignPointers(...args, call.out, device, stream);
  },

  /** Of the deterministic form; the other needs no workspace. */
  roiAlignGradWorkspaceBytes: ({ count, dim }: { count: number; dim: Dim }): number =>
    ops('roiAlignGradWorkspaceBytes').roiAlignGradWorkspaceBytes(count, dim),

  /**
   * `dy`: float32 `[count, ...poolSize, channels]`. Deterministic where a workspace is given: each cell sums its terms in the order
   * of the boxes, with the bits of the CPU; without one they are added as they come.
   */
  roiAlignGrad(call: RoiAlignPointers & { dy: DevicePointer; workspace?: Workspace }): void {
    const { args, device, stream } = rois('cudaPointers.roiAlignGrad', call, ['dy', 'workspace']);
    const { dy, workspace } = call;
    const { pointer, bytes } = workspace ?? { pointer: 0n, bytes: 0 };
    ops('roiAlignGrad').roiAlignGradPointers(...args, dy, workspace !== undefined, pointer, bytes, device, stream);
  },
};

function ops(name: string): PointerOps {
  const { binding, devices, reason } = cudaBinding();
  if (binding && devices.length > 0) return binding;
  throw new InputError('invalid-option', `cudaPointers.${name}: there is no CUDA device; ${reason}`);
}

function common(who: string, call: PointerOptions & { extent?: Extent }, own: readonly string[]) {
  refuseUnknownKeys(who, call, ['dim', 'dtype', 'device', 'stream', ...own]);
  const { device = 0, stream = 0n } = call;
  const double = expectName(who, 'dtype', call.dtype ?? 'float32', ['float32', 'float64']) === 'float64';
  const inclusive = expectName(who, 'extent', call.extent ?? 'half-open', ['half-open', 'inclusive']) === 'inclusive';
  return { double, device, stream, inclusive };
}

function rois(who: string, call: RoiAlignPointers, own: readonly string[]) {
  const keys = [
    'maps',
    'batch',
    'channels',
    'count',
    'boxes',
    'images',
    'levels',
    'poolSize',
    'sampling',
    'samplingRatio',
    'aligned',
  ];
  const { double, device, stream } = common(who, call, [...keys, ...own]);
  const { dim, maps, batch, channels, count, boxes, images = 0n, levels = 0n, samplingRatio = 0, aligned = true } = call;
  const single = expectName(who, 'sampling', call.sampling ?? 'average', ['average', 'single']) === 'single';
  const pool = expectSizes(who, 'poolSize', call.poolSize, dim);
  const addresses = BigUint64Array.from(maps, ({ values }) => values);
  const sizes = Int32Array.from(maps.flatMap(({ size }) => [...expectSizes(who, 'size', size, dim)]));
  const scales = Float64Array.from(maps.flatMap(({ scale }) => Array.from(scale)));
  const head = [dim, double, addresses, sizes, scales, batch, channels, count, boxes, images, levels] as const;
  return { args: [...head, pool, single, samplingRatio, aligned] as const, device, stream };
}
