import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

export default defineConfig([library(), library({ entry: ['src/cli.ts'], format: ['esm'], dts: false, clean: false })]);
