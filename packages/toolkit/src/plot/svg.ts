/** SVG as text: the few helpers that all plots share. */

export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Text as XML; control characters, which XML has no form for, become the replacement character. */
export const escapeXml = (text: string): string =>
  text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`).replace(/\p{Cc}/gu, (c) => ('\t\n\r'.includes(c) ? c : '\ufffd'));

/** Coordinates with at most two decimals keep the files small and equal on every machine. */
export const coordinate = (value: number): string => String(Math.round(value * 100) / 100);

/** One element; numbers are rounded to two decimals, undefined attributes left out, children taken as they are. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const list = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? coordinate(value) : escapeXml(value!)}"`)
    .join('');
  return children.length > 0 ? `<${name}${list}>${children.join('')}</${name}>` : `<${name}${list}/>`;
}

export const text = (content: string, attributes: Attributes): string => element('text', attributes, escapeXml(content));

/** A whole document of the given size in pixels. */
export function document(width: number, height: number, ...children: readonly string[]): string {
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${coordinate(width)} ${coordinate(height)}`,
      'font-family': theme.font,
    },
    ...children,
  );
}

export const theme = {
  font: "Lato, 'Helvetica Neue', Arial, sans-serif",
  paper: '#ffffff',
  ink: '#1f2933',
  muted: '#66737f',
  grid: '#e6eaee',
  axis: '#9aa5b1',
  /** Eight hues that stay apart for colour-blind readers; after Okabe and Ito 2008. */
  series: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#7a5195', '#4d4d4d'],
  groundTruth: '#2dd4bf',
  detection: '#ffb000',
  anchor: '#38bdf8',
} as const;

/** Width of a text in pixels, roughly: enough to place legends and labels without a font at hand. */
export const textWidth = (content: string, fontSize: number): number => content.length * fontSize * 0.5;
