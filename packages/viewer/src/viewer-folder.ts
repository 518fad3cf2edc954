import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// This file is src/viewer-folder.ts in development and a part of dist/index.{js,cjs} when published: one level below the root.
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * The folder of the built page: static files that any web server can serve.
 *
 * @throws Error where the package was not built
 */
export function viewerFolder(): string {
  const folder = join(root, 'dist', 'page');
  if (!existsSync(join(folder, 'index.html'))) throw new Error(`${folder}: the page is not built; run npm run setup`);
  return folder;
}
