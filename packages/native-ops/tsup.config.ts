import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

const browser = library({ entry: { browser: 'src/index.ts' }, format: ['esm'], platform: 'browser', dts: false, clean: false });

export default defineConfig([library(), browser]);
