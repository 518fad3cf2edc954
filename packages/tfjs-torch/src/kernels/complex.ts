import { kernel, type TorchKernel } from '../kernel.js';

const part = (name: 'Real' | 'Imag' | 'ComplexAbs', input: 'input' | 'x'): TorchKernel =>
  kernel(
    name,
    ({ backend, inputs }) => {
      const x = inputs[input]!;
      if (x.dtype !== 'complex64') throw new TypeError(`${name}: expected complex64, got ${x.dtype}`);
      return backend.run(name, [x], { shape: x.shape, dtype: 'float32' });
    },
    { complex: true },
  );

const fourier = (name: 'FFT' | 'IFFT'): TorchKernel =>
  kernel<'input'>(
    name,
    ({ backend, inputs: { input } }) => backend.run(name, [input], { shape: input.shape, dtype: 'complex64' }),
    {
      complex: true,
    },
  );

/** Complex numbers and Fourier transforms over the last axis. */
export const complex: TorchKernel[] = [
  kernel<'real' | 'imag'>('Complex', ({ backend, inputs: { real, imag } }) =>
    backend.run('Complex', [real, imag], { shape: real.shape, dtype: 'complex64' }),
  ),
  part('Real', 'input'),
  part('Imag', 'input'),
  part('ComplexAbs', 'x'),
  fourier('FFT'),
  fourier('IFFT'),
];
