import { basename, join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import { createPredictor, type ExportedCase, geometryOf } from '@mdt/predictor';
import { type Command, InvalidArgumentError } from 'commander';
import { predictorOptions } from '../config/parts.js';
import { describeVolume, loadVolume } from '../data/volume-file.js';
import { openEnsemble } from '../ensemble.js';
import { type PredictionFormat, predictionFormats, writePredictions } from '../predict/write-predictions.js';
import { duration } from '../progress.js';
import { type EngineFlags, engineOf, precisionOption } from './engine-flags.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { collected, fraction, wholeNumber } from './numbers.js';
import { type CommandContext, output, type Streams } from './output.js';

interface PredictFlags extends EngineFlags {
  run: string[];
  out?: string;
  best?: number;
  minScore?: number;
  formats: PredictionFormat[];
  mirror: boolean;
  json?: boolean;
}

export function addPredict(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('predict')
    .description('find objects in images with a trained detector')
    .argument('<files...>', 'images of any format that is read; boxes are in their voxels and millimetres')
    .requiredOption('--run <dir>', 'run folder that `mdt train` wrote; several times for an ensemble, as of folds', collected)
    .option('--out <dir>', 'where the predictions go (default: the run folder; an ensemble needs one)')
    .option('--best <n>', 'checkpoints of each run (default: as configured)', wholeNumber(1))
    .option('--min-score <score>', 'leave out detections below this score', fraction)
    .option('--formats <names>', `which files, by commas: ${predictionFormats.join(', ')}`, formatNames, ['json', 'csv'])
    .option('--no-mirror', 'without test-time mirroring: faster, a little worse')
    .option('--threads <n>', 'CPU threads', wholeNumber(1))
    .addOption(precisionOption())
    .option('--json', 'print events as JSON lines')
    .addHelpText(
      'after',
      `
Examples:
  $ mdt predict scan.nii.gz --run runs/lungs
  $ mdt predict images/*.tif --run runs/nuclei --out results --min-score 0.3
  $ mdt predict scan.nii.gz --run runs/fold0 --run runs/fold1 --out results --formats json,nifti,slicer`,
    )
    .action(async (files: string[], flags: PredictFlags) => exit(await predictCommand(files, flags, streams)));
}

async function predictCommand(files: readonly string[], flags: PredictFlags, streams: Streams): Promise<number> {
  const { json = false, out = flags.run[0]!, best } = flags;
  const { note, result, progress } = output(json, streams);
  if (flags.run.length > 1 && flags.out === undefined) {
    throw new InputError('invalid-option', 'predictions of several runs belong to none of them: name a folder with --out');
  }
  const ensemble = await openEnsemble(flags.run);
  const { config } = ensemble;
  const { normalise } = config.data;
  const dim: Dim = config.detector.kind.endsWith('3D') ? 3 : 2;
  for (const file of files) await describeVolume(file, dim); // what is missing or of another format is found before the engine starts

  await engineOf(flags, config.training, note);
  const detectors = await ensemble.load(best === undefined ? {} : { best });
  const minScore = flags.minScore ?? config.prediction.minScore;
  const predictor = createPredictor<Dim>(
    detectors,
    predictorOptions({ ...config.prediction, minScore }, { views: flags.mirror }),
  );
  const bar = progress();
  const interrupt = interruptSignal();
  try {
    const cases: ExportedCase[] = [];
    for (const [i, file] of files.entries()) {
      const image = await loadVolume<Dim>(file, { dim, ...(normalise && { normalise }) });
      const id = caseName(file, files);
      const { detections, timings } = await predictor.predict(image, {
        signal: interrupt.signal,
        onProgress: (done, total) => bar.update(done, total, `${id} (${i + 1}/${files.length})`),
      });
      cases.push({ id, detections, geometry: geometryOf(image) });
      const seconds = timings.totalMs / 1000;
      if (json) result('', { event: 'case', id, detections: detections.labels.length, seconds });
      else bar.log(`${id}: ${detections.labels.length} detections (${duration(seconds)})`);
    }
    bar.stop();
    const written = await writePredictions(out, cases, { classes: predictor.classes, dim, formats: flags.formats });
    result(written.join('\n'), { event: 'end', models: detectors.length, files: written });
    return exitCodes.ok;
  } catch (error) {
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    bar.stop();
    interrupt.release();
  }
}

function formatNames(text: string): PredictionFormat[] {
  const names = text.split(',').map((name) => name.trim());
  const known = names.filter((name): name is PredictionFormat => (predictionFormats as readonly string[]).includes(name));
  if (known.length < names.length) throw new InvalidArgumentError(`Expected some of ${predictionFormats.join(', ')}.`);
  return known;
}

/** A file's name without its ending; its path where two files share the name. */
function caseName(file: string, files: readonly string[]): string {
  const stem = (path: string) => basename(path).replace(/\.(nii\.gz|nii|npy|tiff?)$/i, '');
  return files.filter((other) => stem(other) === stem(file)).length > 1 ? join(file) : stem(file);
}
