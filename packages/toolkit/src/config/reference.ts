import { type Check, Derived, PerDim } from './checks.js';
import { configCheck } from './schema.js';

/** The page on every key of the configuration, as Markdown, from the table that also checks. */
export function configReference(): string {
  const sections = Object.entries(configCheck.fields!).map(([name, check]) => {
    const required = check.required?.map((key) => `\`${key}\``).join(' and ');
    const needed = required ? ` Needed: ${required}.` : '';
    return [`## ${name}`, '', `${sentence(check.doc!.text)}.${needed}`, '', ...table(check)].join('\n');
  });
  return `${introduction}\n${sections.join('\n\n')}\n`;
}

const introduction = `# Configuration

<!-- Made by \`npm run docs:config\` from the table that checks configurations; do not edit. -->

One file describes an experiment: a TypeScript or JavaScript module whose default export it is, or JSON. \`mdt create\` writes one with
comments. Unknown keys are refused with the nearest known one, and all values are checked, alone and together, before any data is
read. \`--set training.epochs=3\` changes single values. With the run is stored the configuration with every default filled in.

The last column names the key of the original toolkit (\`configs.py\`, \`default_configs.py\`) that does the same.
`;

const cell = (text: string): string => text.replaceAll('|', '\\|');
const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function table(check: Check<unknown>): string[] {
  const header = ['| key | value | default | meaning | original |', '| --- | --- | --- | --- | --- |'];
  return [...header, ...rowsOf(check, '')];
}

function rowsOf(check: Check<unknown>, path: string): string[] {
  return Object.entries(check.fields!).flatMap(([key, field]) => {
    const { text, original } = field.doc!;
    const nested = field.fields ? rowsOf(field, `${path}${key}.`) : [];
    const columns = [`\`${path}${key}\``, field.expected, standardText(field), text, original ? `\`${original}\`` : ''];
    return [`| ${columns.map(cell).join(' | ')} |`, ...nested];
  });
}

/** The default of a key, for people. */
export function standardText({ doc }: Check<unknown>): string {
  const standard = doc?.standard;
  if (standard === undefined) return '';
  if (standard instanceof Derived) return standard.text;
  if (standard instanceof PerDim) return `${JSON.stringify(standard.in2D)} in 2D, ${JSON.stringify(standard.in3D)} in 3D`;
  return JSON.stringify(standard);
}
