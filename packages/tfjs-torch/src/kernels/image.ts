import type { NativeAttr } from '../backend.js';
import { runOnCpu } from '../cpu.js';
import { kernel, type TorchKernel } from '../kernel.js';

interface ResizeAttrs {
  alignCorners?: boolean;
  halfPixelCenters?: boolean;
}

/** How csrc/kernels/resize.cc places the cells of one image over those of another. */
const alignment = ({ alignCorners, halfPixelCenters }: ResizeAttrs) => (alignCorners ? 1 : halfPixelCenters ? 0 : 2);

const native = (linear: boolean, before: number[], after: number[], attrs: ResizeAttrs): NativeAttr[] => [
  linear,
  alignment(attrs),
  before.slice(1, 3),
  after.slice(1, 3),
  0, // no factor for rows and columns: the sizes say how much they are enlarged
  0,
];

function resize(name: string, linear: boolean): TorchKernel {
  return kernel<'images', ResizeAttrs & { size: [number, number] }>(name, ({ backend, inputs: { images }, attrs }) => {
    if (images.dtype !== 'float32') return runOnCpu(name, { inputs: { images }, attrs: { ...attrs }, backend });
    const shape = [images.shape[0]!, ...attrs.size, images.shape[3]!];
    return backend.run('Resize', [images], { shape, dtype: 'float32' }, native(linear, images.shape, shape, attrs));
  });
}

function resizeGrad(name: string, linear: boolean): TorchKernel {
  return kernel<'dy' | 'images', ResizeAttrs>(name, ({ backend, inputs: { dy, images }, attrs }) => {
    const { shape } = images;
    return backend.run('ResizeGrad', [dy], { shape, dtype: 'float32' }, native(linear, shape, dy.shape, attrs));
  });
}

export const image: TorchKernel[] = [
  resize('ResizeBilinear', true),
  resize('ResizeNearestNeighbor', false),
  resizeGrad('ResizeBilinearGrad', true),
  resizeGrad('ResizeNearestNeighborGrad', false),
];
