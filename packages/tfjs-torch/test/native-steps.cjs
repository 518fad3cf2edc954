// Endless work on the bare addon, for a worker or a process that something else ends: `node native-steps.cjs MILLISECONDS`
// exits by itself with code 7 after so long, in whatever the addon does at that moment.
const { join } = require('node:path');
const { isMainThread, parentPort } = require('node:worker_threads');

const addon = process.env.MDT_TFJS_TORCH_ADDON ?? join(__dirname, '../build/Release/mdt_tfjs_torch.node');
const native = require(addon);
const block = new Float64Array(new SharedArrayBuffer(8 * 1024));
native.start(block, 1, 'cpu');

const size = 1 << 20;
const run = (name, output, inputs, attrs = []) => {
  block.set([1, output, 1, size, inputs.length, ...inputs, attrs.length, ...attrs]);
  native.run(native.kernels.indexOf(name));
};

run('Fill', 0, [], [0, 1, 1, size]);
const values = new Float32Array(size);
function upload() {
  block.set([1, size]);
  native.upload(20, 0, values);
}

let count = 0;
function step() {
  const slot = 1 + (count++ % 8);
  run('Exp', slot, [0]);
  run('Add', slot + 8, [slot, 0]);
  native.free(slot);
  if (count % 5 === 0) native.readSync(slot + 8);
  if (count % 5 === 2) native.read(slot + 8).catch(() => {});
  if (count % 5 === 4) void native.idle().then(upload);
  setImmediate(step);
}
step();
if (isMainThread) setTimeout(() => process.exit(7), Number(process.argv[2]));
else parentPort.postMessage('started');
