import { nativeOps } from '@mdt/native-ops';
import type { Binding } from './binding.js';

/**
 * Lets kernels on CUDA tensors call the CUDA ops of `@mdt/native-ops`. Where these are not to be had gives false and says so, as a
 * warning: then there are no kernels of that kind, and whoever asks for one composes it from plain TensorFlow.js ops.
 *
 * @param binary the CUDA addon, or why there is none
 */
export function openCudaOps(
  binding: Pick<Binding, 'openCudaOps'>,
  { binary, reason }: { binary: string | undefined; reason: string } = nativeOps.info().cuda,
): boolean {
  let why = reason;
  if (binary !== undefined) {
    try {
      binding.openCudaOps(binary);
      return true;
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
  }
  process.emitWarning(
    `RoIAlign on CUDA tensors is composed of TensorFlow.js ops, which is slower: the CUDA ops of @mdt/native-ops cannot be used (${why})`,
    { type: 'TfjsTorchWarning', code: 'MDT_TFJS_TORCH' },
  );
  return false;
}
