import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../test/support.js';
import { lockFolder } from './lock-folder.js';

test('a folder has one holder at a time', async () => {
  const dir = await temporaryFolder();
  const first = await lockFolder(dir);
  await expect(lockFolder(`${dir}/.`)).rejects.toMatchObject({ name: 'InputError', code: 'busy' });
  await first.release();
  await (await lockFolder(dir)).release();
});

test('the claim of a killed process is gone with it', async () => {
  const dir = await temporaryFolder();
  const module = fileURLToPath(new URL('lock-folder.ts', import.meta.url));
  const script = `const { lockFolder } = await import(${JSON.stringify(module)}); await lockFolder(${JSON.stringify(dir)});
    process.stdout.write('held'); setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script]);
  await once(holder.stdout, 'data');
  await expect(lockFolder(dir)).rejects.toThrow('in use by another run');
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await (await lockFolder(dir)).release();
});
