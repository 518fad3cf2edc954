import { type Command, Option } from 'commander';
import { writeSynthLidc } from '../../data/synth/write-synth.js';
import { exitCodes } from '../exit-codes.js';
import { wholeNumber } from '../numbers.js';
import { type CommandContext, output } from '../output.js';
import { numberList } from './flags.js';

interface Flags {
  cases: number;
  size?: number[];
  spacing?: number[];
  format: 'dicom' | 'nifti' | 'both';
  seed: number;
  overwrite?: boolean;
  json?: boolean;
}

type Three = [number, number, number];

export function addSynth(dataset: Command, { exit, streams }: CommandContext): void {
  const synth = dataset.command('synth').description('make data sets without patients');
  synth
    .command('lidc')
    .description('CT-like chests whose nodules and readers are drawn from the annotations of LIDC-IDRI')
    .argument('<dir>', 'folder to write, which must not exist yet')
    .option('--cases <n>', 'how many scans', wholeNumber(1), 10)
    .option('--size <z,y,x>', 'voxels per axis (default: 128,256,256)', numberList(3))
    .option(
      '--spacing <z,y,x>',
      "millimetres per voxel (default: the scanner's, and pixels so that a whole chest is shown)",
      numberList(3),
    )
    .addOption(
      new Option('--format <name>', "DICOM with LIDC's XML, NIfTI with label maps, or both")
        .choices(['dicom', 'nifti', 'both'])
        .default('both'),
    )
    .option('--seed <n>', 'draws everything', wholeNumber(0), 0)
    .option('--overwrite', 'replace a folder that is there')
    .option('--json', 'print events as JSON lines')
    .action(async (dir: string, { cases, size, spacing, format, seed, overwrite = false, json = false }: Flags) => {
      const { result, progress } = output(json, streams);
      const bar = progress();
      try {
        await writeSynthLidc(dir, {
          ...{ cases, seed, overwrite, formats: format === 'both' ? ['dicom', 'nifti'] : [format] },
          ...(size && { size: size as Three }),
          ...(spacing && { spacing: spacing as Three }),
          onProgress: (done, total) => bar.update(done, total, 'scans'),
        });
      } finally {
        bar.stop();
      }
      result(`${dir}: ${cases} scans`, { event: 'end', path: dir, cases });
      exit(exitCodes.ok);
    });
}
