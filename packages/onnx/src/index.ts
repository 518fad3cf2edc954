export * from './browser.js';
export { type LoadDetectorOptions, loadDetector } from './load-detector.js';
export { type WriteOptions, writeModel } from './write-model.js';
