import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { configReference } from '@mdt/toolkit';

const path = fileURLToPath(new URL('../docs/config.md', import.meta.url));
await writeFile(path, configReference());
console.log(path);
