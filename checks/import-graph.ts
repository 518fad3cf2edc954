import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** How a module is asked for: kept at run time, only for its types, or at some moment of the run. */
export type ImportKind = 'static' | 'type' | 'dynamic';

export interface Import {
  specifier: string;
  kind: ImportKind;
}

/** A source file of a package: `path` is relative to the package's `src`, with forward slashes. */
export interface SourceFile {
  path: string;
  imports: Import[];
}

/** What a package imports and what its package.json says. */
export interface PackageSource {
  name: string;
  files: SourceFile[];
  manifest: Manifest;
}

export interface Manifest {
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
  optionalDependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

/** Every module that a TypeScript source names: imports, re-exports, `import()`, `require()` and `import('x').Type`. */
export function importsOf(source: string): Import[] {
  const found: Import[] = [];
  const add = (node: ts.Node | undefined, kind: ImportKind) => {
    if (node && ts.isStringLiteralLike(node)) found.push({ specifier: node.text, kind });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.isTypeOnly ? 'type' : 'static');
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly ? 'type' : 'static');
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, 'type');
    else if (ts.isExternalModuleReference(node)) add(node.expression, 'static');
    else if (ts.isCallExpression(node)) {
      const called = node.expression;
      const loads = called.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(called) && /^_*require/i.test(called.text));
      if (loads) add(node.arguments[0], 'dynamic');
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest));
  return found;
}

/** Reads `packages/*`: the sources without the tests, and the package.json. */
export function readPackages(): PackageSource[] {
  return readdirSync(join(root, 'packages')).map((name) => {
    const folder = join(root, 'packages', name);
    const src = join(folder, 'src');
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.tsx?$/.test(path) && !/\.test(-d)?\.tsx?$/.test(path))
      .map((path) => ({
        path: path.replaceAll('\\', '/'),
        imports: importsOf(readFileSync(join(src, path), 'utf8')),
      }));
    return { name, files, manifest: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest };
  });
}

/** The module a bare specifier belongs to: `@mdt/core/x` → `@mdt/core`; undefined for paths, the package's own `#x` and Node's modules. */
export function moduleOf(specifier: string): string | undefined {
  if (/^[./#]/.test(specifier)) return undefined;
  if (specifier.startsWith('node:') || builtinModules.includes(specifier)) return undefined;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The path inside `src` that a relative import of `file` means, `.js` taken for its `.ts`; starts with `..` outside of `src`. */
export function targetOf(file: string, specifier: string): string {
  return posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts');
}

/** The cycles among the files of a package that remain at run time, each as the files on it, its first one repeated at the end. */
export function cyclesOf(files: readonly SourceFile[]): string[][] {
  const cycles: string[][] = [];
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      cycles.push([...trail.slice(start), path]);
      return;
    }
    if (done.has(path)) return;
    for (const { specifier, kind } of byPath.get(path)?.imports ?? []) {
      if (specifier.startsWith('.') && kind !== 'type') visit(targetOf(path, specifier), [...trail, path]);
    }
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  return cycles;
}
