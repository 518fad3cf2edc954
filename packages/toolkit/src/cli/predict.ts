import { basename, dirname, join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import type { VolumeInfo } from '@mdt/formats';
import { type ExportedCase, geometryOf, type ImagePredictor } from '@mdt/predictor';
import { type Command, InvalidArgumentError } from 'commander';
import { describeVolume, loadVolume } from '../data/volume-file.js';
import { type PredictionFormat, predictionFormats, writePredictions } from '../predict/write-predictions.js';
import { duration } from '../progress.js';
import type { RunFlags } from './chosen-runs.js';
import { type EngineFlags, precisionOption } from './engine-flags.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { collected, fraction, wholeNumber } from './numbers.js';
import { shared } from './options.js';
import { type CommandContext, output, type Streams } from './output.js';

export interface PredictFlags extends EngineFlags, RunFlags {
  provider?: string[];
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
    .argument(
      '<files...>',
      'images of any format that is read; boxes are in their voxels and millimetres. Models (.onnx) go first',
    )
    .addOption(shared.run())
    .addOption(shared.folds())
    .option(
      '--out <dir>',
      'where the predictions go (default: the run folder, or the folder of the model; an ensemble needs one)',
    )
    .option(
      '--provider <name>',
      'models: execution provider of onnxruntime, as cpu or cuda; several times: the first there is',
      collected,
    )
    .option('--best <n>', 'checkpoints of each run (default: as configured)', wholeNumber(1))
    .option('--min-score <score>', 'leave out detections below this score (default: as swept, or configured)', fraction)
    .addOption(shared.point())
    .addOption(shared.noPoint())
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
  $ mdt predict lungs.onnx scan.nii.gz
  $ mdt predict images/*.tif --run runs/nuclei --out results --min-score 0.3
  $ mdt predict scan.nii.gz --run runs/lidc --folds 0,2 --formats json,nifti,slicer
  $ mdt predict scan.nii.gz --run runs/first --run runs/second --out results`,
    )
    .action(async (files: string[], flags: PredictFlags) => exit(await predictCommand(files, flags, streams)));
}

/** What predicts, wherever it comes from. */
export interface PredictionSource {
  readonly dim: Dim;
  /** Channels of the network's images, where they are known before it is loaded. */
  readonly inChannels?: number;
  readonly models: number;
  /** Starts the engine and loads the detectors. */
  open(flags: PredictFlags, note: (line: string) => void): Promise<ImagePredictor>;
}

async function predictCommand(all: readonly string[], flags: PredictFlags, streams: Streams): Promise<number> {
  const { json = false, run = [] } = flags;
  const { note, result, progress } = output(json, streams);
  const models = all.filter((file) => /\.onnx$/i.test(file));
  const files = all.filter((file) => !models.includes(file));
  const sources = [...run, ...models];
  if (run.length > 0 === models.length > 0) {
    throw new InputError('invalid-option', 'expected either --run, or a model (.onnx) in front of the images');
  }
  if (files.length === 0) throw new InputError('invalid-option', 'no image was given');
  if (sources.length > 1 && flags.out === undefined) {
    throw new InputError(
      'invalid-option',
      `predictions of several ${models.length > 0 ? 'models' : 'runs'} belong to none of them: name a folder with --out`,
    );
  }
  const out = flags.out ?? (models.length > 0 ? dirname(models[0]!) : run[0]!);
  // Models do without the engine of runs, so neither is loaded for the other.
  const source =
    models.length > 0
      ? await (await import('./model-source.js')).modelSource(models, flags)
      : await (await import('./run-source.js')).runSource(flags);
  // What is missing or of another format is found before the engine starts.
  const infos: VolumeInfo[] = [];
  for (const file of files) infos.push(await describedFor(file, source));
  const odd = infos.findIndex(({ dim }) => dim !== infos[0]!.dim);
  if (odd > 0) {
    throw new InputError(
      'shape-mismatch',
      `${files[odd]} has ${infos[odd]!.dim} axes, ${files[0]} ${infos[0]!.dim}: predict them in two calls`,
    );
  }
  const predictor = await source.open(flags, note);
  const bar = progress();
  const interrupt = interruptSignal();
  try {
    const cases: ExportedCase[] = [];
    for (const [i, file] of files.entries()) {
      const { dim, spacing } = infos[i]!;
      const image = await loadVolume<Dim>(file, { dim });
      const id = caseName(file, files);
      const { detections, timings } = await predictor.predict(image, {
        signal: interrupt.signal,
        isPlaced: spacing !== undefined,
        onProgress: (done, total) => bar.update(done, total, `${id} (${i + 1}/${files.length})`),
      });
      cases.push({ id, detections, geometry: geometryOf(image) });
      const seconds = timings.totalMs / 1000;
      if (json) result('', { event: 'case', id, detections: detections.labels.length, seconds });
      else bar.log(`${id}: ${detections.labels.length} detections (${duration(seconds)})`);
    }
    bar.stop();
    const written = await writePredictions(out, cases, {
      classes: predictor.classes,
      dim: infos[0]!.dim,
      formats: flags.formats,
    });
    result(written.join('\n'), { event: 'end', models: source.models, files: written });
    return exitCodes.ok;
  } catch (error) {
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    bar.stop();
    interrupt.release();
  }
}

/** How an image is read: 2D detectors take images, and volumes slice by slice. */
async function describedFor(file: string, { dim, inChannels }: PredictionSource): Promise<VolumeInfo> {
  if (dim === 3) return describeVolume(file, 3);
  const flat = await describeVolume(file, 2).catch((error: unknown) => {
    if (error instanceof InputError && error.code === 'shape-mismatch') return undefined;
    throw error;
  });
  // Three axes without a place are an image with channels, unless the detectors have others.
  if (flat && (inChannels === undefined || flat.channels === inChannels)) return flat;
  const solid = await describeVolume(file).catch(() => undefined);
  return solid?.dim === 3 && (inChannels === undefined || inChannels % solid.channels === 0)
    ? solid
    : (flat ?? describeVolume(file, 2));
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
