import { statfs } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { nativeOps } from '@mdt/native-ops';
import { selectEngine } from './engine.js';
import { codeVersion, machine } from './run/run-record.js';

/** One thing that was looked at. */
export interface Finding {
  name: string;
  level: 'ok' | 'warning' | 'error';
  text: string;
}

/** Looks at what training needs: Node, engine, native ops, memory, disk. Starts the engine. */
export async function doctor({ dir = '.' }: { dir?: string } = {}): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add = (name: string, level: Finding['level'], text: string) => findings.push({ name, level, text });
  const code = await codeVersion();
  add('mdt', 'ok', `${code.version}${code.commit ? `, commit ${code.commit.slice(0, 10)}` : ''}`);
  const { processor, cores, system, node } = machine();
  const major = Number(process.versions.node.split('.')[0]);
  add('node', major >= 20 ? 'ok' : 'error', `${node}${major >= 20 ? '' : ', expected 20 or newer'}`);
  add('machine', 'ok', `${processor}, ${cores} cores, ${system}`);
  const engine = await selectEngine();
  if (engine.name === 'torch') add('engine', 'ok', `libtorch, ${engine.threads} threads`);
  else
    add(
      'engine',
      'warning',
      `plain JavaScript, many times slower than libtorch (${engine.reason}). For the fast one: npm run setup`,
    );
  const { native, reason, cuda } = nativeOps.info();
  add('native ops', native ? 'ok' : 'warning', native ? 'C++ kernels' : `TypeScript versions, slower (${reason})`);
  add('CUDA ops', 'ok', cuda.available ? `${cuda.devices.length} devices` : `not in use (${cuda.reason})`);
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const memory = `${gib(freemem())} free of ${gib(totalmem())}`;
  add('memory', totalmem() < 4 * 2 ** 30 ? 'warning' : 'ok', memory);
  const { bavail, bsize } = await statfs(dir);
  const free = bavail * bsize;
  add('disk', free < 2 ** 30 ? 'warning' : 'ok', `${gib(free)} free here`);
  return findings;
}
