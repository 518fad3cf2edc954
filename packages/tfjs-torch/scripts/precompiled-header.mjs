// Compiles csrc/libtorch.h once, as build/precompiled/libtorch.h.gch: it is most of what each of our sources includes, and most of the time
// that compiling them takes. g++ takes such a header only where its flags are those of the source, and else the text of csrc/libtorch.h.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The values of a list in the makefile that gyp wrote, one a line, as `-DX=1`. */
function listOf(makefile, name) {
  const lines = makefile.slice(makefile.indexOf(`\n${name} :=`) + 1).split('\n');
  const end = lines.findIndex((line) => !line.endsWith('\\'));
  return lines.slice(1, end + 1).map((line) =>
    line
      .replace(/\\$/, '')
      .trim()
      .replace(/^'(.*)'$/, '$1'),
  );
}

/** After `node-gyp configure` of the package in `folder`. What goes wrong here costs time only: the build says what is wrong. */
export function precompileHeader(folder) {
  const makefile = readFileSync(join(folder, 'build/mdt_tfjs_torch.target.mk'), 'utf8');
  const lists = ['DEFS_Release', 'INCS_Release', 'CFLAGS_Release', 'CFLAGS_CC_Release'];
  // Without what makes the sources include the header, and names of make's.
  const flags = lists.flatMap((name) => listOf(makefile, name)).filter((flag) => !/precompiled$|^-include |\$\(/.test(flag));
  const into = join(folder, 'build/precompiled');
  const source = join(folder, 'csrc/libtorch.h');
  const key = JSON.stringify([flags, process.env.CXX, process.env.CXXFLAGS, readFileSync(source, 'utf8')]);
  if (
    existsSync(join(into, 'libtorch.h.gch')) &&
    existsSync(join(into, 'key')) &&
    readFileSync(join(into, 'key'), 'utf8') === key
  )
    return;
  mkdirSync(into, { recursive: true });
  const args = [...flags, '-x', 'c++-header', source, '-o', join(into, 'libtorch.h.gch')];
  const { status } = spawnSync(process.env.CXX ?? 'g++', args, { cwd: join(folder, 'build'), stdio: 'ignore' });
  if (status === 0) writeFileSync(join(into, 'key'), key);
}
