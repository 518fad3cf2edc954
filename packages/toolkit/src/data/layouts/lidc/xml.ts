import { InputError } from '@mdt/core';

/** An element of an XML file: attributes are not kept, prefixes of names are cut. */
export interface XmlElement {
  name: string;
  /** Text directly within. */
  text: string;
  children: XmlElement[];
}

/** Deepest nesting that is read; LIDC's files have six levels. */
const maxDepth = 64;
const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/**
 * Reads the elements and texts of an XML file. Document types are refused, and with them entities of their own.
 *
 * @throws InputError `invalid-data` that names the file and the place
 */
export function parseXml(text: string, where: string): XmlElement {
  const root: XmlElement = { name: '', text: '', children: [] };
  const open = [root];
  // A comment, a declaration, raw text, a tag with its attributes, or text.
  const token =
    /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([A-Za-z_][\w.:-]*)((?:"[^"]*"|'[^']*'|[^<>"'])*)>|([^<]+)/y;
  const refuse = (problem: string): never => {
    throw new InputError('invalid-data', `${where}: character ${token.lastIndex}: ${problem}`);
  };
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (!match) {
      token.lastIndex = at;
      return refuse(`found '${text.slice(at, at + 20)}', expected a tag or text`);
    }
    const [, raw, closing, name, attributes, content] = match;
    const inner = open.at(-1)!;
    if (raw !== undefined) inner.text += raw;
    else if (content !== undefined)
      inner.text += content.replaceAll(/&(#x[\da-f]+|#\d+|\w+);/gi, (_, code: string) => decoded(code, refuse));
    else if (name !== undefined) {
      const local = name.slice(name.lastIndexOf(':') + 1);
      if (closing) {
        if (open.length === 1 || inner.name !== local) refuse(`</${name}> closes <${inner.name}>`);
        open.pop();
        continue;
      }
      const element: XmlElement = { name: local, text: '', children: [] };
      inner.children.push(element);
      if (attributes!.endsWith('/')) continue;
      if (open.push(element) > maxDepth) refuse(`more than ${maxDepth} elements within each other`);
    }
  }
  if (open.length > 1) refuse(`<${open.at(-1)!.name}> is not closed`);
  if (root.children.length !== 1) refuse(`${root.children.length} outermost elements, expected one`);
  return root.children[0]!;
}

function decoded(code: string, refuse: (problem: string) => never): string {
  if (Object.hasOwn(entities, code)) return entities[code]!;
  const point = /^#x/i.test(code)
    ? Number.parseInt(code.slice(2), 16)
    : code.startsWith('#')
      ? Number(code.slice(1))
      : Number.NaN;
  return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : refuse(`unknown entity &${code.slice(0, 20)};`);
}

/** Children of a name. */
export const childrenOf = (element: XmlElement, name: string): XmlElement[] =>
  element.children.filter((child) => child.name === name);

/** Text of the first child of a name, or undefined. */
export const textOf = (element: XmlElement, name: string): string | undefined =>
  element.children.find((child) => child.name === name)?.text.trim();
