import type { KernelExport } from '../graph-builder.js';
import { convolutionKernels } from './convolution.js';
import { elementwiseKernels } from './elementwise.js';
import { shapeKernels } from './shape.js';
import { spatialKernels } from './spatial.js';

/** How each kernel is written in ONNX: TensorFlow.js's by its names, and MDT's own (`kernels` of `@mdt/core`). */
export const kernelExports: Readonly<Record<string, KernelExport>> = {
  ...convolutionKernels,
  ...elementwiseKernels,
  ...shapeKernels,
  ...spatialKernels,
};
