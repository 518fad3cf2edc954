// npm test: sets up, runs vitest with the arguments given, and closes with 'N passed, N failed, N skipped'.
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { at, readJsonOr, root } from './setup/workspace.mjs';

const report = at('.mdt/test-results.json');

/** Runs a command on this terminal; gives its exit code. */
function show(args) {
  return new Promise((done) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
    child.on('close', (code, signal) => done(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

/** Totals of vitest's JSON report. A file that failed without a failed test (it did not load, say) counts as one failure. */
function totals({ testResults = [], numPassedTests: passed = 0, numFailedTests = 0, numPendingTests = 0, numTodoTests = 0 }) {
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  return { passed, failed: numFailedTests + brokenFiles.length, skipped: numPendingTests + numTodoTests };
}

const setUp = await show([
  at('scripts/setup.mjs'),
  '--onnx-tools',
  '--data',
  'nuclei-2d,nuclei-3d,ct,ct-files,nrrd-files,nifti-files,dicom-files,lidc-annotations',
]);
if (setUp !== 0) {
  console.log('0 passed, 1 failed, 0 skipped');
  process.exit(setUp);
}
rmSync(report, { force: true });
const vitest = [
  at('node_modules/vitest/vitest.mjs'),
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
];
const code = await show([...vitest, ...process.argv.slice(2)]);
const { passed, failed, skipped } = totals(readJsonOr(report, {}));
const none = passed + failed === 0;
if (none) console.log('No test ran.');
const unseen = code !== 0 && failed === 0; // an error outside any test, or no report at all
console.log(`${passed} passed, ${failed + (unseen || none ? 1 : 0)} failed, ${skipped} skipped`);
process.exit(failed > 0 || none ? 1 : code);
