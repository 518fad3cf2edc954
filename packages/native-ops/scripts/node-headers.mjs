import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

// node-gyp wants a common.gypi beside the headers; the npm package has only the headers. This is as little as it takes.
const commonGypi = `{
  'target_defaults': {
    'default_configuration': 'Release',
    'cflags': ['-fPIC', '-O2'],
    'configurations': { 'Release': {}, 'Debug': {} },
    'conditions': [
      ['OS=="mac"', {
        'xcode_settings': { 'OTHER_LDFLAGS': ['-undefined dynamic_lookup'], 'MACOSX_DEPLOYMENT_TARGET': '11.0' },
      }],
    ],
  },
}
`;

/**
 * A folder for node-gyp's `--nodedir`: the prefix of the running Node where its headers are installed, else a folder made
 * in `cacheDir` from the npm package `node-api-headers`. Nothing is fetched.
 *
 * @param {string} cacheDir an ignored folder
 * @param {string} prefix where Node is installed
 * @returns {string}
 */
export function nodeHeaders(cacheDir, prefix = dirname(dirname(process.execPath))) {
  if (existsSync(join(prefix, 'include/node/node_api.h')) && existsSync(join(prefix, 'include/node/common.gypi'))) {
    return prefix;
  }
  const require = createRequire(import.meta.url);
  const headers = require('node-api-headers').include_dir;
  const include = join(cacheDir, 'include', 'node');
  mkdirSync(include, { recursive: true });
  cpSync(headers, include, { recursive: true });
  writeFileSync(join(include, 'common.gypi'), commonGypi);
  return cacheDir;
}
