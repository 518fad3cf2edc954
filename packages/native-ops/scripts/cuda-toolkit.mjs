// Where CUDA's compiler is, and what it is asked to compile for.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Machine code for the data-centre GPUs of 2020 and 2022 (A100, H100 and their families), and PTX, which the driver compiles at
 * the first use, for every other GPU that CUDA 13 knows.
 */
export const defaultArchs = ['sm_80', 'sm_90', 'compute_75'];

/** The targets that `MDT_CUDA_ARCHS` names, as `sm_80,sm_90,compute_75`: `sm_` is machine code, `compute_` is PTX. */
export function cudaArchs(wanted = process.env.MDT_CUDA_ARCHS) {
  if (!wanted) return defaultArchs;
  const archs = wanted.split(/[\s,;]+/).filter(Boolean);
  for (const arch of archs) {
    if (/^(sm|compute)_\d+[af]?$/.test(arch)) continue;
    throw new Error(`native-ops: MDT_CUDA_ARCHS holds '${arch}', expected names like sm_80 (machine code) or compute_75 (PTX)`);
  }
  return archs;
}

/** nvcc's way to say so. */
export const gencode = (archs) => archs.map((arch) => `-gencode=arch=compute_${arch.split('_')[1]},code=${arch}`);

/** The command that answers as nvcc, or undefined: `CUDACXX` alone if it is set, else CUDA_HOME, the path, /usr/local/cuda. */
export function findNvcc() {
  const { CUDACXX, CUDA_HOME, CUDA_PATH } = process.env;
  const homes = [CUDA_HOME, CUDA_PATH].filter(Boolean).map((home) => join(home, 'bin', 'nvcc'));
  const commands = CUDACXX ? [CUDACXX] : [...homes, 'nvcc', '/usr/local/cuda/bin/nvcc'];
  return commands.find(
    (command) =>
      (!command.includes('/') || existsSync(command)) && spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0,
  );
}
