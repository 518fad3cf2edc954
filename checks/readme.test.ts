import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { root } from './import-graph.js';

/** The errors of one TypeScript source, as if it lay in benchmarks/, which depends on every package. */
function errorsIn(source: string): string[] {
  const path = join(root, 'benchmarks', 'readme-example.ts');
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === path || fileExists(name);
  host.getSourceFile = (name, version) =>
    name === path ? ts.createSourceFile(name, source, version) : getSourceFile.call(host, name, version);
  const program = ts.createProgram([path], options, host);
  const file = program.getSourceFile(path)!;
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(({ messageText }) =>
    ts.flattenDiagnosticMessageText(messageText, '\n'),
  );
}

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]!);

test('the TypeScript of the README type-checks against the packages and is short', () => {
  expect(examples).toHaveLength(1);
  expect(errorsIn(examples[0]!)).toEqual([]);
  expect(examples[0]!.trim().split('\n').filter(Boolean).length).toBeLessThanOrEqual(15);
});

test('a wrong option in such an example is found', () => {
  expect(errorsIn(examples[0]!.replace('batchSize: 2', 'batchsize: 2'))).toEqual([expect.stringContaining('batchsize')]);
});
