// Runs a small op of each addon on Node 20, 22 and 24: one binary has to serve them all.
// The versions other than the running one come from the npm registry, into .mdt/node.
import { existsSync } from 'node:fs';
import { at, readJsonOr, run, tail, writeJson } from './setup/workspace.mjs';

const versions = ['20.20.2', '22.23.3', '24.21.0'];
const platform = `${process.platform}-${process.arch}`;

/** The binary of one Node version: the running one where its major fits, else a copy from the npm registry. */
async function nodeOf(version) {
  const major = version.split('.')[0];
  if (process.versions.node.split('.')[0] === major) return process.execPath;
  const folder = at('.mdt/node', major);
  const name = `node-${platform}`;
  const binary = `${folder}/node_modules/${name}/bin/node`;
  if (existsSync(binary) && readJsonOr(`${folder}/node_modules/${name}/package.json`, {}).version === version) return binary;
  writeJson(`${folder}/package.json`, { private: true });
  const args = [
    'install',
    '--prefix',
    folder,
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--save-exact',
    `${name}@${version}`,
  ];
  const { code, output } = await run('npm', args, { cwd: folder });
  if (code !== 0) throw new Error(`npm could not install ${name}@${version}:\n${tail(output)}`);
  return binary;
}

// What each version runs, in a folder whose package.json depends on the built packages; prints a line, throws on a wrong number.
const smoke = `
  import { nativeOps, nonMaximumSuppression } from '@mdt/native-ops';
  const boxes = Float32Array.of(0, 0, 10, 10, 1, 1, 11, 11, 20, 20, 30, 30);
  const kept = nonMaximumSuppression(boxes, Float32Array.of(0.5, 0.9, 0.7), { dim: 2, iouThreshold: 0.5 });
  if (!nativeOps.info().native) throw new Error(nativeOps.info().reason);
  if (kept.join() !== '1,2') throw new Error('native-ops: NMS kept ' + kept.join() + ', expected 1,2');
  let line = 'native-ops ok';
  if (process.argv.includes('torch')) {
    const { useTorch } = await import('@mdt/tfjs-torch');
    const tf = await import('@tensorflow/tfjs-core');
    await useTorch({ threads: 2 });
    const [product] = await tf.matMul(tf.ones([1, 3]), tf.fill([3, 1], 2)).data();
    if (product !== 6) throw new Error('tfjs-torch: a product is ' + product + ', expected 6');
    line += ', tfjs-torch ok';
  }
  console.log(line);
`;

let failed = 0;
const torch = existsSync(at('packages/tfjs-torch/build/Release/mdt_tfjs_torch.node')) ? ['torch'] : [];
if (torch.length === 0) console.log('the addon of @mdt/tfjs-torch is not built and is passed over');
for (const version of versions) {
  try {
    const node = await nodeOf(version);
    const args = ['--input-type=module', '--eval', smoke, '--', ...torch];
    const { code, output } = await run(node, args, { cwd: at('benchmarks') });
    if (code !== 0) throw new Error(`exit code ${code}\n${tail(output)}`);
    const { output: running } = await run(node, ['--version']);
    console.log(`node ${running.trim()}: ${output.trim().split('\n').at(-1)}`);
  } catch (error) {
    failed += 1;
    console.error(`node ${version}: ${error.message}`);
  }
}
process.exit(failed === 0 ? 0 : 1);
