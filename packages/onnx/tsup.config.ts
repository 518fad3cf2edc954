import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

export default defineConfig([
  library(),
  library({ entry: ['src/browser.ts'], format: ['esm'], platform: 'browser', target: 'es2022', shims: false, clean: false }),
]);
