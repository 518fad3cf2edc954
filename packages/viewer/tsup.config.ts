import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';
import { contentPolicy } from './src/policy.js';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const require = createRequire(import.meta.url);

/** The parts of the page that are not scripts: its text and style, onnxruntime's WebAssembly, and whose work is inside. */
async function copyParts(): Promise<void> {
  const page = here('dist/page');
  mkdirSync(join(page, 'ort'), { recursive: true });
  const html = readFileSync(here('src/page/index.html'), 'utf8').replace('{{policy}}', contentPolicy);
  writeFileSync(join(page, 'index.html'), html);
  for (const name of ['style.css', 'icon.svg']) copyFileSync(here(`src/page/${name}`), join(page, name));
  const ort = dirname(require.resolve('onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm'));
  for (const ending of ['mjs', 'wasm']) {
    const name = `ort-wasm-simd-threaded.asyncify.${ending}`;
    copyFileSync(join(ort, name), join(page, 'ort', name));
  }
}

export default defineConfig([
  library({ clean: ['dist/*', '!dist/page'] }),
  {
    entry: { main: 'src/page/main.ts', worker: 'src/page/worker.ts' },
    outDir: 'dist/page',
    clean: true,
    format: ['esm'],
    target: 'es2022',
    platform: 'browser',
    splitting: true,
    minify: true,
    dts: false,
    noExternal: [/.*/],
    esbuildOptions(options) {
      options.conditions = ['browser', 'onnxruntime-web-use-extern-wasm'];
      options.external = ['fs', 'path']; // named by the codecs, which do not ask for them in a browser
    },
    onSuccess: copyParts,
  },
]);
