// What `npm run conformance` bundles: TensorFlow.js's own tests, declared for backend `torch` in the jasmine that runs here.
import './environment.js';
import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js';
import '@tensorflow/tfjs-core/dist/tests.js';
