import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import type { DividedDetector } from '@mdt/detectors';
import { loadDetector, type ModelPrecision, precisions } from '@mdt/onnx';
import { exportOnnx, quantiseOnnx, type VerifyReport, verifyExport } from '@mdt/onnx-export';
import { type Command, Option } from 'commander';
import type { ResolvedConfig } from '../config/config.js';
import type { Dataset } from '../data/dataset.js';
import { patches } from '../data/patches.js';
import { openEnsemble } from '../ensemble.js';
import { dataOf, judgeModel, type ModelFacts, type ModelJudgement, modelFacts } from '../run/model-facts.js';
import { type EngineFlags, engineOf } from './engine-flags.js';
import { exitCodes } from './exit-codes.js';
import { fraction, wholeNumber } from './numbers.js';
import { type CommandContext, output, type Streams } from './output.js';

type Data = NonNullable<Awaited<ReturnType<typeof dataOf>>>;

interface ExportFlags extends Omit<EngineFlags, 'precision'> {
  run: string;
  out?: string;
  type: ModelPrecision;
  batch?: number;
  freeSize?: boolean;
  calibration: number;
  python: string;
  licence?: string;
  modelVersion?: string;
  cases?: number;
  verify?: boolean | string;
  apLoss: number;
  json?: boolean;
}

export function addExport(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('export')
    .description('write the best checkpoint of a run as one ONNX file, which `mdt predict` and other tools run')
    .requiredOption('--run <dir>', 'run folder that `mdt train` wrote')
    .option('--out <file>', 'the model (default: <run>/model.onnx)')
    .addOption(new Option('--type <type>', 'type of the weights').choices(precisions).default('float32'))
    .option('--batch <n>', 'images at once (default: any number)', wholeNumber(1))
    .option('--free-size', 'images of any size that the strides divide, not of the patch alone')
    .option('--calibration <n>', 'int8: training patches that show the ranges of values', wholeNumber(1), 64)
    .option('--python <command>', "int8: a Python that has onnxruntime's tools, in .mdt/onnx-tools or of its own", 'python3')
    .option('--licence <name>', 'licence of the model, written into it')
    .option('--model-version <text>', 'version of the model, written into it')
    .option('--cases <n>', 'validation cases for operating points and AP, 0 for none (default: all)', wholeNumber(0))
    .option(
      '--verify [model]',
      "compare with the run's detector on patches of its data, and keep the file only when they agree; with a name only compare that file",
    )
    .option('--ap-loss <share>', 'float16, int8: how much AP a verified file may lose', fraction, 0.02)
    .option('--threads <n>', 'CPU threads', wholeNumber(1))
    .option('--json', 'print events as JSON lines')
    .addHelpText(
      'after',
      `
Examples:
  $ mdt export --run runs/lungs --verify
  $ mdt export --run runs/lungs --type int8 --calibration 128 --out lungs-int8.onnx --verify
  $ mdt export --run runs/lungs --verify lungs-from-elsewhere.onnx`,
    )
    .action(async (flags: ExportFlags) => exit(await exportCommand(flags, streams)));
}

async function exportCommand(flags: ExportFlags, streams: Streams): Promise<number> {
  const { run, verify = false, json = false } = flags;
  const { note, result } = output(json, streams);
  const existing = typeof verify === 'string' ? verify : undefined;
  if (existing !== undefined && flags.out !== undefined) {
    throw new InputError('invalid-option', '--verify with a name compares that file and writes none: leave --out away');
  }
  const out = existing ?? flags.out ?? join(run, 'model.onnx');
  const { config, load } = await openEnsemble([run]);
  const data = await dataOf(config, note);
  const type = existing === undefined ? flags.type : await precisionOf(existing);
  if (!data && (verify !== false || type === 'int8')) {
    throw new InputError('missing-file', `export: ${verify === false ? 'int8 wants' : '--verify wants'} the data of the run`);
  }
  const facts = await modelFacts(run, config, data);
  await engineOf({ ...(flags.threads && { threads: flags.threads }), precision: 'float32' }, config.training, note);
  const [detector] = (await load({ best: 1 })) as [DividedDetector];
  try {
    const set = data && flags.cases !== 0 ? validationOf(data, flags.cases, note) : undefined;
    const isJudged = set && (existing === undefined || type !== 'float32');
    const own = isJudged ? await judgeModel(detector, set, facts, config) : undefined;
    if (existing === undefined) {
      const made = await write(detector, out, {
        ...flags,
        facts,
        own,
        training: data?.part('train'),
        slices: config.data.slices,
      });
      result(made.files.join('\n'), { event: 'written', ...made });
    }
    if (verify !== false) {
      const report = await verified(detector, out, { set: data!.part('validation'), cases: set, type, facts, config, own });
      const isGood = report.isEqual || (type !== 'float32' && report.apLoss !== null && report.apLoss <= flags.apLoss);
      result(verifyText(report, type, isGood), { event: 'verify', ...report, isGood });
      if (!isGood) {
        if (existing === undefined) for (const file of [out, `${out}.data`]) await rm(file, { force: true });
        const gone = existing === undefined ? ', and was removed' : '';
        throw new InputError('invalid-data', `${out} differs from the detector of ${run}${gone}`);
      }
    }
    result('', { event: 'end', file: out });
    return exitCodes.ok;
  } finally {
    detector.dispose();
  }
}

/** The first validation cases; undefined, with a note, where the run has none. */
function validationOf(data: Data, cases: number | undefined, note: (line: string) => void): Dataset<Dim> | undefined {
  try {
    const set = data.part('validation');
    return set.subset(set.ids.slice(0, cases));
  } catch (error) {
    if (!(error instanceof InputError && error.code === 'empty-dataset')) throw error;
    note('The run has no validation cases: the file will not tell its sensitivity');
    return undefined;
  }
}

async function precisionOf(file: string): Promise<ModelPrecision> {
  const loaded = await loadDetector(file, { executionProviders: ['cpu'] });
  loaded.dispose();
  return loaded.description.precision;
}

type Slices = ResolvedConfig['data']['slices'];

interface WriteParts extends ExportFlags {
  facts: ModelFacts;
  own: ModelJudgement | undefined;
  training: Dataset<Dim> | undefined;
  slices: Slices;
}

async function write(detector: DividedDetector, out: string, parts: WriteParts) {
  const { type, batch, freeSize, licence, modelVersion, facts, own, training, calibration, python, slices } = parts;
  const told = {
    ...facts,
    ...(batch !== undefined && { batch }),
    size: freeSize ? 'free' : 'fixed',
    ...(own && { operatingPoints: own.operatingPoints }),
    licence: licence ?? null,
    version: modelVersion ?? null,
  } as const;
  if (type !== 'int8') return exportOnnx(detector, out, { ...told, precision: type });
  const whole = join(dirname(out), `.${process.pid}-float32.onnx`);
  try {
    const { nodes, parameters, files } = await exportOnnx(detector, whole, told);
    try {
      const packages = resolve('.mdt/onnx-tools');
      const written = await quantiseOnnx(whole, out, drawn(detector, training!, calibration, slices), {
        python,
        ...(existsSync(packages) && { packages }),
      });
      return { files: written, nodes, parameters };
    } finally {
      for (const file of files) await rm(file, { force: true });
    }
  } finally {
    await rm(whole, { force: true });
  }
}

/** Random patches of a part of the data, half of them at objects. */
async function* drawn(detector: DividedDetector, set: Dataset<Dim>, count: number, slices: Slices): AsyncGenerator<Float32Array> {
  const sampler = patches<Dim>(set, {
    patchSize: detector.patchSize,
    batchSize: 1,
    foreground: 0.5,
    seed: 0,
    ...(slices && { slices: { context: slices.context } }),
  });
  for (let i = 0; i < count; i++) yield (await sampler.batch(i)).images;
}

const verifiedPatches = 8;
/** How far outputs may be off, of their greatest value: 16-bit floats have 11 bits; of 8 bits only the AP is judged. */
const tolerances: Readonly<Record<ModelPrecision, number>> = { float32: 1e-4, float16: 0.05, int8: Number.MAX_VALUE };

interface Verification extends VerifyReport {
  ap: number | null;
  ownAp: number | null;
  cases: number;
  /** Of the detector's AP; null where there is none. */
  apLoss: number | null;
}

async function verified(
  detector: DividedDetector,
  file: string,
  parts: Pick<WriteParts, 'facts' | 'own' | 'type'> & {
    set: Dataset<Dim>;
    cases: Dataset<Dim> | undefined;
    config: ResolvedConfig;
  },
): Promise<Verification> {
  const { set, cases, type, facts, config, own } = parts;
  const loaded = await loadDetector(file, { executionProviders: ['cpu'] });
  try {
    const report = await verifyExport(detector, loaded, drawn(detector, set, verifiedPatches, config.data.slices), {
      tolerance: tolerances[type],
    });
    const isOff = Object.values(report.outputs).some((off) => !(off <= tolerances[type]));
    const theirs = cases && own && type !== 'float32' ? await judgeModel(loaded, cases, facts, config) : undefined;
    const apLoss = theirs && !isOff && own!.ap !== null ? own!.ap - (theirs.ap ?? 0) : null;
    return { ...report, ap: theirs?.ap ?? null, ownAp: own?.ap ?? null, cases: theirs?.cases ?? 0, apLoss };
  } finally {
    loaded.dispose();
  }
}

function verifyText(report: Verification, type: ModelPrecision, isGood: boolean): string {
  const { patches, outputs, detections, matched, extra, ap, ownAp, cases } = report;
  const worst = Object.entries(outputs).map(([name, off]) => `${name} ${off.toExponential(1)}`);
  const shown = (value: number | null) => value?.toFixed(3) ?? 'undefined';
  return [
    `verified on ${patches} patches: outputs differ by at most ${worst.join(', ')}`,
    `${matched} of ${detections} detections agree, ${extra} more`,
    ...(cases > 0 ? [`AP on ${cases} validation cases: ${type} ${shown(ap)}, float32 ${shown(ownAp)}`] : []),
    isGood ? (type === 'float32' ? 'equal' : 'good') : 'NOT EQUAL',
  ].join('\n');
}
