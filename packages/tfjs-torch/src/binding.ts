import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type NativeArray = Float32Array | Int32Array | Uint8Array;

/** The addon's exports; see csrc/addon.cc. */
export interface Binding {
  /** Names of the native kernels; an index is an opcode. */
  readonly kernels: readonly string[];
  start(block: Float64Array, threads: number, device: string): void;
  run(opcode: number): void;
  upload(slot: number, dtype: number, values: ArrayBufferView): void;
  free(slot: number): void;
  readSync(slot: number): NativeArray;
  read(slot: number): Promise<NativeArray>;
  idle(): Promise<void>;
  memory(): [bytes: number, tensors: number];
  deviceMemory(): [live: number, peak: number, pool: number];
  resetPeak(): void;
  emptyPool(): void;
  profile(): number[];
  setThreads(threads: number): void;
  configure(deterministic: boolean, tf32: boolean, memoryBytes: number, poolBytes: number): void;
  openCudaOps(path: string): void;
}

/** The engine cannot run here: says what was tried and what to do. */
export class EngineUnavailableError extends Error {
  override readonly name = 'EngineUnavailableError';
}

const fileName = 'mdt_tfjs_torch.node';

/** The package's folder, whether this runs from src or from dist. */
const packageFolder = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Loads the addon; `MDT_TFJS_TORCH_ADDON` names another build of it. @throws EngineUnavailableError */
export function loadBinding(): Binding {
  const path = process.env.MDT_TFJS_TORCH_ADDON ?? join(packageFolder, 'build', 'Release', fileName);
  if (!existsSync(path)) {
    throw new EngineUnavailableError(`tfjs-torch: the addon ${fileName} has not been built; \`npm run setup\` builds it`);
  }
  // OpenMP's threads spin between kernels. Spinning for long, the default, starves data loaders and neighbours: with three busy
  // threads on two processors a training step took three times as long. It is read once, when libtorch loads.
  if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= '1000';
  try {
    if (process.platform === 'win32') {
      const { path: libtorch } = JSON.parse(readFileSync(join(dirname(path), 'libtorch.json'), 'utf8')) as { path: string };
      process.env.PATH = [join(libtorch, 'lib'), process.env.PATH].join(delimiter);
    }
    return createRequire(import.meta.url)(path) as Binding;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineUnavailableError(
      `tfjs-torch: the addon does not load (${reason}); \`npm run setup\` builds it again for the libtorch it finds`,
      { cause },
    );
  }
}
