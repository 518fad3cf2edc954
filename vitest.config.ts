import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const packages = readdirSync(here('packages'));

// Tests run on the sources: '@mdt/x' is packages/x/src, so no build stands between an edit and its test.
export default defineConfig({
  resolve: {
    alias: packages.map((name) => ({ find: new RegExp(`^@mdt/${name}$`), replacement: here(`packages/${name}/src/index.ts`) })),
  },
  test: {
    include: ['packages/*/{src,test}/**/*.test.ts', 'checks/**/*.test.ts', 'examples/**/*.test.ts', 'benchmarks/**/*.test.ts'],
    pool: 'forks',
    // The gradients of tfjs-core are ES modules that Node itself cannot load; its own entry point stays a single copy.
    server: { deps: { inline: [/tfjs-core\/dist\/(?!tf-core)/] } },
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Pages are drawn without a graphics card: one picture can take longer than the second that is the default here.
    expect: { poll: { timeout: 60_000, interval: 100 } },
  },
});
