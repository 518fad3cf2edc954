/** Colours of classes that people with colour blindness tell apart: Okabe and Ito 2008, without black. */
const palette = ['#e69f00', '#56b4e9', '#009e73', '#f0e442', '#0072b2', '#d55e00', '#cc79a7'];

/** The colour of a class, `#rrggbb`; the palette repeats. */
export const classColor = (label: number): string => palette[label % palette.length]!;

const channel = (hex: string, at: number): number => Number.parseInt(hex.slice(at, at + 2), 16);

/**
 * A colour table for a map of ids: 0 is clear, the rest have the colours of classes (id 1 is class 0).
 *
 * @param most greatest id
 */
export function labelColors(most: number): { R: number[]; G: number[]; B: number[]; A: number[]; I: number[] } {
  const ids = Array.from({ length: most + 1 }, (_, id) => id);
  const of = (at: number) => ids.map((id) => (id === 0 ? 0 : channel(classColor(id - 1), at)));
  return { R: of(1), G: of(3), B: of(5), A: ids.map((id) => (id === 0 ? 0 : 255)), I: ids };
}
