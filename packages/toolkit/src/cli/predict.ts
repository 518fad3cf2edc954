import { basename, join } from 'node:path';
import type { Dim, Volume } from '@mdt/core';
import type { Command } from 'commander';
import { predictorOptions } from '../config/parts.js';
import { loadVolume } from '../data/volume-file.js';
import { selectEngine } from '../engine.js';
import { readRunConfig } from '../experiment.js';
import { writePredictions } from '../predict/export.js';
import { geometryOf } from '../predict/predict-all.js';
import { createPredictor } from '../predict/predictor.js';
import { duration } from '../progress.js';
import { listCheckpoints } from '../train/checkpoint.js';
import { loadDetectors } from '../train/load-detectors.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { fraction, wholeNumber } from './numbers.js';
import { type CommandContext, output, type Streams } from './output.js';

interface PredictFlags {
  run: string;
  out?: string;
  best?: number;
  minScore?: number;
  mirror: boolean;
  threads?: number;
  json?: boolean;
}

export function addPredict(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('predict')
    .description('find objects in images with a trained detector')
    .argument('<files...>', 'images: .npy, .nii, .nii.gz, .tif')
    .requiredOption('--run <dir>', 'run folder that `mdt train` wrote')
    .option('--out <dir>', 'where predictions.json and predictions.csv go (default: the run folder)')
    .option('--best <n>', 'checkpoints in the ensemble (default: as configured)', wholeNumber(1))
    .option('--min-score <score>', 'leave out detections below this score', fraction)
    .option('--no-mirror', 'without test-time mirroring: faster, a little worse')
    .option('--threads <n>', 'CPU threads', wholeNumber(1))
    .option('--json', 'print events as JSON lines')
    .addHelpText(
      'after',
      `
Examples:
  $ mdt predict scan.nii.gz --run runs/lungs
  $ mdt predict images/*.tif --run runs/nuclei --out results --min-score 0.3`,
    )
    .action(async (files: string[], flags: PredictFlags) => exit(await predictCommand(files, flags, streams)));
}

async function predictCommand(files: readonly string[], flags: PredictFlags, streams: Streams): Promise<number> {
  const { json = false, out = flags.run } = flags;
  const { note, result, progress } = output(json, streams);
  const config = await readRunConfig(flags.run);
  await listCheckpoints(flags.run); // a damaged run is found before the engine starts
  const { normalise } = config.data;
  const dim: Dim = config.detector.kind.endsWith('3D') ? 3 : 2;
  const volumes: Volume<Dim, Float32Array>[] = [];
  for (const file of files) volumes.push(await loadVolume<Dim>(file, { dim, ...(normalise && { normalise }) }));

  await selectEngine({ onFallback: note, ...(flags.threads && { threads: flags.threads }) });
  const detectors = await loadDetectors(flags.run, { best: flags.best ?? config.prediction.best });
  const minScore = flags.minScore ?? config.prediction.minScore;
  const predictor = createPredictor<Dim>(
    detectors,
    predictorOptions({ ...config.prediction, minScore }, { views: flags.mirror }),
  );
  const bar = progress();
  const interrupt = interruptSignal();
  try {
    const cases = [];
    for (const [i, image] of volumes.entries()) {
      const id = caseName(files[i]!, files);
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
    const written = await writePredictions(out, cases, { classes: predictor.classes, dim });
    result(`${written.json}\n${written.csv}`, { event: 'end', ...written });
    return exitCodes.ok;
  } catch (error) {
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    bar.stop();
    interrupt.release();
  }
}

/** A file's name without its ending; its path where two files share the name. */
function caseName(file: string, files: readonly string[]): string {
  const stem = (path: string) => basename(path).replace(/\.(nii\.gz|nii|npy|tiff?)$/i, '');
  return files.filter((other) => stem(other) === stem(file)).length > 1 ? join(file) : stem(file);
}
