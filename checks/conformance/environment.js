// Starts the engine and names it to the suite, which declares its tests once for each named environment.

import { useTorch } from '@mdt/tfjs-torch';
import { env } from '@tensorflow/tfjs-core';
import { setTestEnvs } from '@tensorflow/tfjs-core/dist/jasmine_util.js';

env().set('IS_TEST', true); // the engine then looks for leaks after every kernel
await useTorch({ threads: 1 });
setTestEnvs([{ name: 'torch', backendName: 'torch', flags: {}, isDataSync: true }]);
