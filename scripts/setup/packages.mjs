// Builds the packages with tsup, those first that others need; a package whose sources are as they were is left alone.
import { existsSync, readdirSync } from 'node:fs';
import { at, hashOf, readJson, remember, run, SetupError, tail, unchanged } from './workspace.mjs';

const parallel = 2;

/** Every package of the workspace, `{ name, folder, needs }`, dependencies before dependents. */
export function packagesInOrder() {
  const all = readdirSync(at('packages'))
    .filter((name) => existsSync(at('packages', name, 'package.json')))
    .map((name) => {
      const { dependencies = {}, peerDependencies = {}, devDependencies = {} } = readJson(at('packages', name, 'package.json'));
      const needs = Object.keys({ ...dependencies, ...peerDependencies, ...devDependencies })
        .filter((needed) => needed.startsWith('@mdt/'))
        .map((needed) => needed.slice('@mdt/'.length));
      return { name, folder: at('packages', name), needs };
    });
  const ordered = [];
  const visit = (one, path) => {
    if (ordered.includes(one)) return;
    if (path.includes(one.name))
      throw new SetupError(`Packages need each other in a circle: ${[...path, one.name].join(' → ')}.`);
    for (const needed of one.needs) {
      const other = all.find(({ name }) => name === needed);
      if (other) visit(other, [...path, one.name]);
    }
    ordered.push(one);
  };
  for (const one of all) visit(one, []);
  return ordered;
}

/** Builds what changed; gives the names built, and how many packages there are. */
export async function buildPackages() {
  const packages = packagesInOrder();
  const shared = ['tsup.base.ts', 'tsconfig.base.json'].map((name) => at(name));
  const { tsup, typescript } = readJson(at('package.json')).devDependencies;
  const hashes = new Map();
  const waiting = [];
  for (const one of packages) {
    const own = ['src', 'package.json', 'tsconfig.json', 'tsup.config.ts'].map((name) => at('packages', one.name, name));
    const hash = hashOf([...own, ...shared], [tsup, typescript, ...one.needs.map((name) => hashes.get(name) ?? '')]);
    hashes.set(one.name, hash);
    const outputs = ['index.js', 'index.cjs', 'index.d.ts', 'index.d.cts'].map((name) => at('packages', one.name, 'dist', name));
    if (!unchanged(`package ${one.name}`, hash, outputs)) waiting.push(one);
  }
  const toBuild = waiting.map(({ name }) => name);
  const running = new Map();
  while (waiting.length > 0 || running.size > 0) {
    const blocked = new Set([...waiting.map(({ name }) => name), ...running.keys()]);
    const next = waiting.find(({ needs }) => !needs.some((name) => blocked.has(name)));
    if (next && running.size < parallel) {
      waiting.splice(waiting.indexOf(next), 1);
      running.set(next.name, build(next, hashes.get(next.name)));
      continue;
    }
    running.delete(await Promise.race(running.values()));
  }
  return { built: toBuild, count: packages.length };
}

async function build({ name, folder }, hash) {
  remember(`package ${name}`, undefined);
  const { code, output } = await run(process.execPath, [at('node_modules/tsup/dist/cli-default.js')], { cwd: folder });
  if (code !== 0) throw new SetupError(`Package @mdt/${name} does not build; tsup's last words:\n${tail(output)}`);
  remember(`package ${name}`, hash);
  return name;
}
