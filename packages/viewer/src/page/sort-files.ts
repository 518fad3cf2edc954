/** What a file is for. */
export type Role = 'image' | 'model' | 'predictions' | 'truth' | 'segmentation';

/**
 * Sorts files that were dropped together: models and predictions by their endings, label maps by a word in their names
 * (`-labels`, `truth`, `seg`), everything else is of the image.
 */
export function sortByRole<T extends { path: string }>(files: readonly T[]): Record<Role, T[]> {
  const sorted: Record<Role, T[]> = { image: [], model: [], predictions: [], truth: [], segmentation: [] };
  for (const file of files) {
    const name = file.path.slice(file.path.lastIndexOf('/') + 1).toLowerCase();
    if (!name.startsWith('.')) sorted[roleOf(name)].push(file);
  }
  return sorted;
}

/** What a file is for, by its name without folders, in small letters. */
export function roleOf(name: string): Role {
  if (/\.onnx(\.data|_data)?$/.test(name)) return 'model';
  if (name.endsWith('.json')) return 'predictions';
  if (/(^|[-_.])(labels?|truth|gt|mask)([-_.\d]|$)/.test(name)) return 'truth';
  if (/(^|[-_.])(seg|segmentation)([-_.\d]|$)/.test(name)) return 'segmentation';
  return 'image';
}
