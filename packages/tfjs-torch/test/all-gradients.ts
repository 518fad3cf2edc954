// TensorFlow.js's entry point for Node registers no gradients and no methods of tensors. These are its own; its engine has to
// be there first.
import '@tensorflow/tfjs-core';

import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js';
