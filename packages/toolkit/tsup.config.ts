import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

export default defineConfig([
  library(),
  library({ entry: ['src/cli.ts'], format: ['esm'], dts: false, clean: false, splitting: true }),
  // The file that worker threads start from, beside both.
  library({ entry: { worker: 'src/data/workers/worker.ts' }, format: ['esm'], dts: false, clean: false }),
]);
