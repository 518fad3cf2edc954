// npm run notebooks -- [NAME…]: runs the notebooks of examples/notebooks with nbconvert; results go to .mdt/notebooks/out.
import { readdirSync } from 'node:fs';
import { provideNotebooks } from './setup/notebooks.mjs';
import { at, run } from './setup/workspace.mjs';

const { env } = await provideNotebooks();
const all = readdirSync(at('examples/notebooks')).filter((name) => name.endsWith('.ipynb'));
const names = process.argv.length > 2 ? process.argv.slice(2) : all;
for (const name of names) {
  const started = performance.now();
  const args = ['-m', 'nbconvert', '--to', 'notebook', '--execute', name, '--output-dir', at('.mdt/notebooks/out')];
  const { code, output } = await run('python3', args, { cwd: at('examples/notebooks'), env });
  if (code !== 0) {
    console.error(output);
    process.exit(1);
  }
  console.log(`${name}: ran in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}
