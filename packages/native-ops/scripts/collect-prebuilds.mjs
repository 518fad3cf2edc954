// Copies what was built here to prebuilds/PLATFORM-ARCH, where the package looks for it:
//   node packages/native-ops/scripts/collect-prebuilds.mjs [FILE…]
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const files = process.argv.length > 2 ? process.argv.slice(2) : ['mdt_native_ops.node'];
const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
mkdirSync(folder, { recursive: true });
for (const file of files) {
  copyFileSync(join(root, 'build', 'Release', file), join(folder, file));
  console.log(`copied ${file} to ${folder}`);
}
