import { expect, test } from 'vitest';
import * as node from './load.js';
import * as browser from './load-browser.js';

test('a browser has what Node has, without a binary', () => {
  expect(Object.keys(browser).sort()).toEqual(Object.keys(node).sort());
  expect(browser.nativeBinding()).toBeUndefined();
  expect(browser.cudaBinding().binding).toBeUndefined();
  expect(browser.nativeOps.info()).toMatchObject({ native: false, cuda: { available: false, devices: [] } });
});
