import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const pagesIn = (folder: string): string[] =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));
const packages = readdirSync(join(root, 'packages')).map((name) => join('packages', name));
const pages = ['.', 'docs', 'reference', ...packages].flatMap(pagesIn);

const withoutCode = (markdown: string): string => markdown.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, 'code');

/** The names under which a page's headings are linked to: lower case, without punctuation, hyphens for spaces. */
const anchors = (markdown: string): string[] =>
  [...markdown.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

/** Links of a page that lead nowhere, within the checkout. */
function brokenLinks(page: string, markdown: string): string[] {
  const links = [...withoutCode(markdown).matchAll(/\]\((?![a-z]+:)([^)\s]+)\)/g)].map((match) => match[1]!);
  return links.filter((link) => {
    const [path, anchor] = link.split('#') as [string, string?];
    const target = path === '' ? join(root, page) : join(root, dirname(page), path);
    if (!existsSync(target)) return true;
    return anchor !== undefined && !anchors(readFileSync(target, 'utf8')).includes(anchor);
  });
}

test('every link of every page leads to a file, and to a heading of it', () => {
  expect(pages).toContain('README.md');
  const broken = pages.flatMap((page) =>
    brokenLinks(page, readFileSync(join(root, page), 'utf8')).map((link) => `${page}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test('a file or a heading that is not there is found', () => {
  const page =
    '[a](LICENSE) [b](nowhere.md) [c](README.md#packages) [d](README.md#no-such-heading) [e](https://example.org) `[f](no)`';
  expect(brokenLinks('README.md', page)).toEqual(['nowhere.md', 'README.md#no-such-heading']);
});
