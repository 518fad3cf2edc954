import { pathToFileURL } from 'node:url';
import { InputError } from '@mdt/core';
import { readInput } from '../data/volume-file.js';
import { readJson } from '../files.js';

/**
 * The configuration in a file: JSON, or what a TypeScript or JavaScript module exports as its default, a function being called. A module
 * is a program: it is run, so take it only from where you would take a program.
 *
 * @throws InputError `missing-file`, `unreadable-file`, `unsupported-format`; `invalid-option` for a module without a default export
 */
export async function loadConfig(path: string): Promise<unknown> {
  if (/\.json$/i.test(path)) return readJson(path);
  if (!/\.[cm]?[jt]s$/i.test(path)) {
    throw new InputError('unsupported-format', `${path}: expected a configuration in a .json, .ts, .mts, .js or .mjs file`);
  }
  await readInput(path); // a missing file is named as one
  let value: unknown;
  try {
    const { createJiti } = await import('jiti');
    const { href } = pathToFileURL(path);
    value = await createJiti(href, { fsCache: false, moduleCache: false }).import(href, { default: true });
  } catch (cause) {
    throw new InputError('unreadable-file', `${path}: ${(cause as Error).message}`, { cause });
  }
  if (typeof value === 'function') value = await (value as () => unknown)();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError('invalid-option', `${path}: expected a default export that is a configuration`);
  }
  // As it will be stored: what JSON cannot hold is seen now.
  return JSON.parse(JSON.stringify(value));
}
