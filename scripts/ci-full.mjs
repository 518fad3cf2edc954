// npm run ci:full: the long forms of what .ci/run does in short, one after the other; goes on after a failure and names it.
import { spawnSync } from 'node:child_process';
import { at, root } from './setup/workspace.mjs';

/** Each step: its title and the arguments for node. */
const steps = [
  ['set-up with all data sets', [at('scripts/setup.mjs'), '--data', 'nuclei-2d,nuclei-3d,ct']],
  ['Node 20, 22 and 24', [at('scripts/node-versions.mjs')]],
  ['engine on the oldest libtorch', [at('scripts/libtorch-versions.mjs'), 'packages/tfjs-torch']],
  ['engine under sanitizers', [at('scripts/sanitize.mjs')]],
  ['demo on the 2D nuclei', [at('scripts/demo.mjs')]],
  ['demo on the toy task', [at('scripts/demo.mjs'), '--toy', 'donuts_shape']],
  ['demo on the 3D nuclei', [at('scripts/demo.mjs'), '--3d']],
  ['demo on the CT', [at('scripts/demo.mjs'), '--ct']],
  ['parity with the recordings', [at('scripts/parity.mjs')]],
  ['benchmark of the Retina U-Nets', [at('scripts/bench.mjs'), 'retina']],
  ['tests', [at('scripts/test.mjs')]],
];

const outcomes = [];
for (const [title, args] of steps) {
  console.log(`\n=== ${title}`);
  const started = performance.now();
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  outcomes.push({ title, ok: status === 0, seconds: (performance.now() - started) / 1000 });
}
console.log('\n=== summary');
for (const { title, ok, seconds } of outcomes)
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${seconds.toFixed(0).padStart(6)} s  ${title}`);
const passed = outcomes.filter(({ ok }) => ok).length;
console.log(`${passed} passed, ${outcomes.length - passed} failed, 0 skipped`);
process.exit(passed === outcomes.length ? 0 : 1);
