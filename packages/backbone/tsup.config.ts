import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// The gradients of tfjs-core are files that Node cannot load by themselves; tfjs-core itself stays outside.
export default defineConfig(library({ noExternal: [/^@tensorflow\/tfjs-core\/dist\/gradients\//] }));
