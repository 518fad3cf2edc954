/** What of a detector decides how the original toolkit calls its weights. */
export interface OriginalNaming {
  /** The detector's, as in `MaskRCNN2D`. */
  kind: string;
  /** The norm of the original's configuration; convolutions with a norm are nested one level deeper there. */
  norm: 'none' | 'instance' | 'batch';
}

// On whole dotted names, tried in this order: [ours, theirs].
const bodyNames: readonly (readonly [RegExp, string])[] = [
  [/^C(\d)\.(\d+)\.reduce$/, 'C$1.$2.conv1'],
  [/^C(\d)\.(\d+)\.spatial$/, 'C$1.$2.conv2'],
  [/^C(\d)\.(\d+)\.expand$/, 'C$1.$2.conv3'],
  [/^C(\d)\.(\d+)\.shortcut$/, 'C$1.$2.downsample'],
  [/^P(\d)\.lateral$/, 'P$1_conv1'],
  [/^P(\d)\.output$/, 'P$1_conv2'],
];

const normParts: Readonly<Record<string, string>> = {
  scale: 'weight',
  offset: 'bias',
  mean: 'running_mean',
  variance: 'running_var',
};

/** A layer of the original: its name, whether an activation follows, whether the configured norm does. */
interface Layer {
  name: string;
  activated?: boolean;
  normed?: boolean;
}

const heads: Readonly<Record<string, Layer>> = {
  'proposer.shared': { name: 'rpn.conv_shared', activated: true },
  'proposer.class': { name: 'rpn.conv_class' },
  'proposer.box': { name: 'rpn.conv_bbox' },
  'boxHead.0': { name: 'classifier.conv1', activated: true, normed: true },
  'boxHead.1': { name: 'classifier.conv2', activated: true, normed: true },
  'boxHead.class': { name: 'classifier.linear_class' },
  'boxHead.box': { name: 'classifier.linear_bbox' },
  'maskHead.0': { name: 'mask.conv1', activated: true, normed: true },
  'maskHead.1': { name: 'mask.conv2', activated: true, normed: true },
  'maskHead.2': { name: 'mask.conv3', activated: true, normed: true },
  'maskHead.3': { name: 'mask.conv4', activated: true, normed: true },
  'maskHead.up': { name: 'mask.deconv' },
  'maskHead.final': { name: 'mask.conv5' },
};

const towers: Readonly<Record<string, string>> = { classifier: 'Classifier', regressor: 'BBRegressor' };

/** The name that the Python toolkit gives a weight of one of its detectors. */
export function originalName(name: string, { kind, norm }: OriginalNaming): string {
  const parts = name.split('.');
  const isNorm = parts.at(-2) === 'norm';
  const place = parts.slice(0, isNorm ? -2 : -1).join('.');
  const layer = layerOf(place, kind);
  // A box head sees 1 × 1 cells, over which an instance norm makes no sense: the original leaves it out there.
  const normed = layer.normed && norm !== 'none' && !(place.startsWith('boxHead') && norm === 'instance');
  const nesting = `${layer.activated ? '.0' : ''}${normed ? (isNorm ? '.1' : '.0') : ''}`;
  return `${layer.name}${nesting}.${isNorm ? normParts[parts.at(-1)!] : parts.at(-1)}`;
}

function layerOf(place: string, kind: string): Layer {
  const isRetina = kind.startsWith('Retina');
  const head = heads[place];
  if (head) return head;
  if (place === 'segmenter') {
    const name = kind.startsWith('DetectionUNet') ? 'conv_final' : 'final_conv';
    return isRetina ? { name } : { name, normed: true };
  }
  const [first, second] = place.split('.') as [string, string];
  const tower = towers[first];
  if (tower && second === 'final') return { name: `${tower}.conv_final` };
  if (tower) return { name: `${tower}.conv_${Number(second) + 1}`, activated: true };
  const own = place.replace(/^backbone\./, '');
  const isPyramid = own.startsWith('P');
  let body = own;
  for (const [ours, theirs] of bodyNames) body = body.replace(ours, theirs);
  body = body.replace(/^C2\.(\d+)\./, (_, block: string) => `C2.${Number(block) + 1}.`); // C2.0 is the max-pool there
  return {
    name: `${isRetina ? 'Fpn' : 'fpn'}.${body}`,
    activated: !isPyramid && !/\.(expand|shortcut)$/.test(own),
    normed: !isPyramid,
  };
}

/** The naming of a checkpoint of the original, told by the names in it. */
export function originalNaming(kind: string, names: { has(name: string): boolean }): OriginalNaming {
  const pyramid = kind.startsWith('Retina') ? 'Fpn' : 'fpn';
  if (names.has(`${pyramid}.C1.0.1.weight`)) return { kind, norm: 'batch' };
  return { kind, norm: names.has(`${pyramid}.C1.0.0.weight`) ? 'instance' : 'none' };
}
