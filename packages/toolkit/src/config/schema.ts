import { InputError } from '@mdt/core';
import { checkNormalisation } from '@mdt/formats';
import { trainingPrecisions } from '../engine.js';
import {
  belowOne,
  type Check,
  checkOf,
  count,
  Derived,
  either,
  field,
  flag,
  list,
  notNegative,
  number,
  object,
  oneOf,
  PerDim,
  positive,
  range,
  seed,
  share,
  text,
  wholeFromZero,
} from './checks.js';
import { detectorCheck } from './detector-schema.js';

/** What a list of names may hold, as in `ap@0.5` and `patient_auc:malignant`. */
export const metricPattern = /^(ap|patient_ap|patient_auc)(@[0-9.]+)?(:.+)?$/;

const normalisation = checkOf("how images are prepared, as in the data set's dataset.json", (value, where) =>
  checkNormalisation(value, where),
);
const axes = list(oneOf('z', 'y', 'x'));
const noAugmentation = checkOf<false>('false', (value, where) => {
  if (value === false) return false;
  throw new InputError('invalid-option', `${where}: expected false`);
});
const iou = number('a number above 0, at most 1', (v) => v > 0 && v <= 1);
const metric: Check<string> = checkOf('ap, ap@IOU, ap:CLASS, patient_ap:CLASS or patient_auc:CLASS', (value, where) => {
  const name = text(value, where);
  return metricPattern.test(name)
    ? name
    : oneOf('ap', 'ap@IOU', 'ap:CLASS', 'patient_ap:CLASS', 'patient_auc:CLASS')(name, where);
});

const dataCheck = object(
  {
    dir: field(
      text,
      'folder with `dataset.json`; a relative one is looked for from where the command runs',
      undefined,
      'pp_data_path',
    ),
    testDir: field(
      text,
      'another data set, all of whose cases test; the test part of the first is then trained on',
      new Derived('none: the test part of `dir`'),
      'hold_out_test_set, pp_test_data_path',
    ),
    normalise: field(normalisation, 'how intensities become network input', new Derived("the data set's")),
    folds: field(
      object(
        {
          folds: field(count, 'parts of the cross-validation', undefined, 'n_cv_splits'),
          fold: field(wholeFromZero, 'which part tests; the one after it validates', 0, 'fold'),
          seed: field(seed, 'draws the parts', 0, 'seed'),
        },
        'folds',
      ),
      'cross-validation instead of the parts that `dataset.json` names',
    ),
    splits: field(
      object(
        {
          file: field(
            text,
            'file of splits, drawn once and refused when the data set changed; made where there is none',
            undefined,
            'fold_ids.pickle',
          ),
          folds: field(count, 'parts of the cross-validation, where the file is made', 5, 'n_cv_splits'),
          fold: field(wholeFromZero, 'which part tests', 0, 'fold'),
          stratify: field(flag, 'spreads cases of the same classes evenly, where the file is made', false),
          seed: field(seed, 'draws the parts, where the file is made', 0, 'seed'),
        },
        'file',
      ),
      'splits by patient from a file, instead of `folds` or the parts of `dataset.json`',
    ),
    slices: field(
      object({
        context: field(wholeFromZero, 'neighbours before and after each slice, as further channels', 0, 'n_3D_context'),
        mergeIouThreshold: field(
          share,
          'boxes of neighbouring slices become one object when they overlap its best box by more',
          0.1,
          'merge_3D_iou',
        ),
      }),
      'a 2D detector learns from slices of volumes, and finds boxes in them that are merged to 3D; `{}` does that',
      new Derived('none: detector and data have as many axes'),
      'merge_2D_to_3D_preds',
    ),
    maxCases: field(count, 'uses so many cases of each part, drawn with the seed', new Derived('all'), 'select_prototype_subset'),
  },
  'dir',
);

/** Random changes of the training patches; see `@mdt/augment`. */
export const augmentCheck = object({
  mirror: field(axes, 'axes that are mirrored, each with probability one half', new Derived('y and x'), 'da_kwargs.mirror'),
  rotate: field(
    number('an angle from 0 to π', (v) => v >= 0 && v <= Math.PI),
    'largest rotation to both sides in radians, in 3D around z',
    new Derived('π'),
    'da_kwargs.angle_x, angle_z',
  ),
  scale: field(range, 'size of the patch that is cut, as a factor', new Derived('[0.8, 1.1]'), 'da_kwargs.scale'),
  elastic: field(
    object({
      alpha: field(range, 'strength in voxels', [0, 1500], 'da_kwargs.alpha'),
      sigma: field(range, 'smoothness in voxels', [30, 50], 'da_kwargs.sigma'),
    }),
    'elastic deformation',
    undefined,
    'da_kwargs.do_elastic_deform',
  ),
  contrast: field(range, 'factor on intensities around their mean', new Derived('none')),
  brightness: field(range, 'value that is added', new Derived('none')),
  noise: field(range, 'standard deviation of added noise', new Derived('none')),
});

export const trainingCheck = object({
  epochs: field(count, 'epochs', 60, 'num_epochs'),
  stepsPerEpoch: field(count, 'optimizer steps per epoch', 50, 'num_train_batches'),
  batchSize: field(count, 'patches per batch', new PerDim(8, 2), 'batch_size'),
  accumulate: field(count, 'batches whose gradients are averaged in one step', 1),
  optimizer: field(
    oneOf('adam', 'adamw', 'sgd'),
    'weight decay of `adamw` is apart from the gradient, that of `adam` and `sgd` part of it',
    'adam',
  ),
  momentum: field(belowOne, 'of `sgd`', 0.9),
  nesterov: field(flag, 'of `sgd`: looks ahead', false),
  learningRate: field(
    either(list(positive, { min: 1 }), positive),
    'one rate, or a list with one for each epoch; the last one holds on',
    1e-4,
    'learning_rate',
  ),
  schedule: field(oneOf('constant', 'cosine', 'poly'), 'how the rate falls over the training', 'constant'),
  warmUp: field(belowOne, 'share of the training in which the rate rises', 0),
  weightDecay: field(notNegative, 'weight decay', 0, 'weight_decay'),
  clipNorm: field(notNegative, 'largest norm of all gradients together; 0 for no limit', 0),
  ema: field(belowOne, 'decay of the moving average of the weights, which is then validated and stored; 0 for none', 0),
  patience: field(wholeFromZero, 'stops after so many epochs without a better score; 0 for never', 0),
  foreground: field(share, 'share of the patches that are cut around an object', 0.5),
  negatives: field(share, 'share of the patches that show no object; what is left lies anywhere', 0),
  workers: field(wholeFromZero, 'threads that load and augment patches; 0 works in the main thread', 1, 'n_workers'),
  augment: field(
    either(noAugmentation, augmentCheck),
    'random changes of the training patches; `false` for none',
    new Derived('mirror, rotate, scale'),
    'do_aug, da_kwargs',
  ),
  seed: field(seed, 'of weights, patches and augmentation', 0, 'seed'),
  precision: field(oneOf(...trainingPrecisions), 'type of convolutions and matrix products, in prediction too', 'float32'),
  deterministic: field(flag, 'refuses operations whose results may differ from run to run', false),
  minutes: field(positive, 'time budget', new Derived('none')),
  keep: field(count, 'checkpoints that are kept, the best', new Derived('5, or `prediction.best`'), 'save_n_models'),
  validation: field(
    oneOf('patients', 'patches'),
    'validates on whole cases, or on random patches of them (much faster, and with losses)',
    'patients',
    'val_mode',
  ),
  validationPatches: field(count, 'batches of a validation on patches', 50, 'num_val_batches'),
  validationCases: field(count, 'cases of a validation on patients, the first ones', new Derived('all'), 'max_val_patients'),
  validateEvery: field(count, 'epochs from one validation to the next', 1),
  iouThresholds: field(list(iou, { min: 1 }), 'AP is taken at these and averaged', [0.1], 'ap_match_ious'),
  selectBy: field(list(metric, { min: 1 }), 'metrics whose mean ranks the epochs', ['ap'], 'model_selection_criteria'),
});

export const predictionCheck = object({
  minOverlap: field(
    wholeFromZero,
    'voxels that neighbouring tiles share, at least',
    new Derived("30, or half of the patch's shortest side"),
    'patch overlap',
  ),
  mirror: field(axes, 'axes that test-time views mirror; all combinations are predicted', ['y', 'x'], 'test_aug'),
  batchSize: field(count, 'patches per forward pass', new PerDim(4, 1)),
  iouThreshold: field(share, 'of weighted box clustering', 1e-5, 'wcs_iou'),
  minScore: field(share, 'detections below it are left out', 0, 'min_det_thresh'),
  best: field(count, 'checkpoints in the ensemble, the best', new Derived('5, or `training.keep`'), 'test_n_epochs'),
});

/** The table of every key: what fits, what it does, its default. Checks and the reference page are made from it. */
export const configCheck = object(
  {
    data: field(dataCheck, 'what to learn from'),
    detector: field(detectorCheck, 'what learns'),
    training: field(trainingCheck, 'how it learns'),
    prediction: field(predictionCheck, 'how whole images are predicted'),
  },
  'data',
  'detector',
);
