import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import type { DividedDetector } from '@mdt/detectors';
import { loadDetector, type ModelOperatingPoint } from '@mdt/onnx';
import { type ExportOnnxOptions, exportOnnx, type VerifyReport, verifyExport } from '@mdt/onnx-export';
import { type Command, Option } from 'commander';
import type { ResolvedConfig } from '../config/config.js';
import { patches } from '../data/patches.js';
import { openEnsemble } from '../ensemble.js';
import { openExperiment } from '../experiment.js';
import { readOperatingPoint } from '../predict/operating-point-file.js';
import { dataHash } from '../run/run-record.js';
import { type EngineFlags, engineOf } from './engine-flags.js';
import { exitCodes } from './exit-codes.js';
import { wholeNumber } from './numbers.js';
import { type CommandContext, output, type Streams } from './output.js';

interface ExportFlags extends Omit<EngineFlags, 'precision'> {
  run: string;
  out?: string;
  type: 'float32' | 'float16';
  batch?: number;
  freeSize?: boolean;
  licence?: string;
  modelVersion?: string;
  verify?: boolean;
  json?: boolean;
}

export function addExport(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('export')
    .description('write the best checkpoint of a run as one ONNX file, which `mdt predict` and other tools run')
    .requiredOption('--run <dir>', 'run folder that `mdt train` wrote')
    .option('--out <file>', 'the model (default: <run>/model.onnx)')
    .addOption(new Option('--type <type>', 'type of the weights').choices(['float32', 'float16']).default('float32'))
    .option('--batch <n>', 'images at once (default: any number)', wholeNumber(1))
    .option('--free-size', 'images of any size that the strides divide, not of the patch alone')
    .option('--licence <name>', 'licence of the model, written into it')
    .option('--model-version <text>', 'version of the model, written into it')
    .option('--verify', "compare with the detector on patches of the run's data, and keep the file only when they agree")
    .option('--threads <n>', 'CPU threads', wholeNumber(1))
    .option('--json', 'print events as JSON lines')
    .action(async (flags: ExportFlags) => exit(await exportCommand(flags, streams)));
}

async function exportCommand(flags: ExportFlags, streams: Streams): Promise<number> {
  const { run, out = join(run, 'model.onnx'), json = false } = flags;
  const { note, result } = output(json, streams);
  const { config, load } = await openEnsemble([run]);
  const options = await facts(run, config, flags, note);
  await engineOf(flags, config.training, note);
  const [detector] = (await load({ best: 1 })) as [DividedDetector];
  try {
    const { files, nodes, parameters } = await exportOnnx(detector, out, options);
    if (flags.verify) {
      const report = await verify(detector, out, config, flags.type);
      result(verifyText(report), { event: 'verify', ...report });
      if (!report.isEqual) {
        for (const file of files) await rm(file, { force: true });
        throw new InputError('invalid-data', `${out} differs from the detector that it was made from, and was removed`);
      }
    }
    result(files.join('\n'), { event: 'end', files, nodes, parameters });
    return exitCodes.ok;
  } finally {
    detector.dispose();
  }
}

/** What a run knows of its model. */
async function facts(
  run: string,
  config: ResolvedConfig,
  { type, batch, freeSize, licence, modelVersion }: ExportFlags,
  note: (line: string) => void,
): Promise<ExportOnnxOptions> {
  const { minOverlap, mirror, iouThreshold, minScore } = config.prediction;
  const point = await readOperatingPoint(run).catch((error: unknown) => {
    if (error instanceof InputError && error.code === 'missing-file') return undefined;
    throw error;
  });
  const data = await dataHash(config.data.dir).catch((error: unknown) => {
    if (!(error instanceof InputError)) throw error;
    note(`The data of the run are not there (${error.message}): the file will not name them`);
    return undefined;
  });
  const operatingPoints: ModelOperatingPoint[] =
    point?.minScore == null
      ? []
      : [{ minScore: point.minScore, sensitivity: null, falsePositivesPerImage: null, f1: point.f1, ap: point.ap }];
  return {
    precision: type,
    ...(batch !== undefined && { batch }),
    size: freeSize ? 'free' : 'fixed',
    normalisation: (config.data.normalise as Record<string, unknown> | undefined) ?? null,
    prediction: {
      minOverlap: minOverlap as number | readonly number[],
      mirror,
      consolidation: point
        ? {
            method: point.method,
            iouThreshold: point.iouThreshold,
            minCandidateScore: point.minCandidateScore ?? 0,
            minSide: point.minSide,
          }
        : { method: 'wbc', iouThreshold, minCandidateScore: 0, minSide: 0 },
      minScore,
    },
    operatingPoints,
    training: { dataHash: data?.sha256 ?? null, dataName: data?.name ?? null },
    licence: licence ?? null,
    version: modelVersion ?? null,
  };
}

const verifiedPatches = 8;

async function verify(detector: DividedDetector, file: string, config: ResolvedConfig, type: string): Promise<VerifyReport> {
  const { part } = await openExperiment(config);
  const set = part('validation');
  const sampler = patches<Dim>(set, { patchSize: detector.patchSize, batchSize: 1, foreground: 0.5, seed: 0 });
  async function* drawn(): AsyncGenerator<Float32Array> {
    for (let i = 0; i < verifiedPatches; i++) yield (await sampler.batch(i)).images;
  }
  const loaded = await loadDetector(file, { executionProviders: ['cpu'] });
  try {
    // 16-bit floats have 11 bits: a network of some fifty layers stays within a few per cent.
    return await verifyExport(detector, loaded, drawn(), type === 'float16' ? { tolerance: 0.05 } : {});
  } finally {
    loaded.dispose();
  }
}

function verifyText({ patches, outputs, detections, matched, extra, isEqual }: VerifyReport): string {
  const worst = Object.entries(outputs).map(([name, off]) => `${name} ${off.toExponential(1)}`);
  return [
    `verified on ${patches} patches: outputs differ by at most ${worst.join(', ')}`,
    `${matched} of ${detections} detections agree, ${extra} more: ${isEqual ? 'equal' : 'NOT EQUAL'}`,
  ].join('\n');
}
