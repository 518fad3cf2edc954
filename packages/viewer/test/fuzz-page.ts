import { readFileSync } from 'node:fs';
import { rng, volume } from '@mdt/core';
import { encodeNifti, encodeNrrd } from '@mdt/formats';
import type { Page } from 'playwright-core';
import { damage } from '../../formats/test/fuzz.js';
import { changed } from '../../onnx-export/test/fuzz.js';
import { data } from './chromium.js';

/** What became of damaged files. */
export interface Fates {
  read: number;
  /** With a code, in a sentence. */
  refused: number;
  /** What ended the worker, or came as an error without a code. */
  accidents: string[];
}

/** Files that go to the page at once, and those that one worker is given. */
const [atOnce, perWorker] = [20, 200];

/**
 * Gives damaged models and images to the worker of the page: a model that opens detects in a small image as well.
 *
 * @param n of each part
 */
export async function fuzzPage(
  page: Page,
  {
    model,
    n,
    seed,
    parts = ['models', 'images'],
    onProgress,
  }: { model: string; n: number; seed: number; parts?: readonly string[]; onProgress?: (done: number) => void },
): Promise<Record<string, Fates>> {
  const random = rng(seed).fork('viewer');
  const scan = encodeNifti(volume({ dim: 2, size: [32, 32], data: Uint8Array.from({ length: 1024 }, (_, i) => i % 251) }));
  const whole = Uint8Array.from(readFileSync(model)); // a Buffer's slice would be the same memory
  const images: [string, Uint8Array][] = [
    ['a.nii', scan],
    ['a.nrrd', encodeNrrd(volume({ dim: 3, size: [4, 8, 8], data: Int16Array.from({ length: 256 }, (_, i) => i) }))],
    ['a.nii.gz', encodeNifti(volume({ dim: 3, size: [4, 8, 8], data: new Float32Array(256) }), { gzip: true })],
    ['a.dcm', readFileSync(data('dicom-files/CT_small.dcm'))],
    ['a.png', Buffer.from(onePixel, 'base64')],
  ];
  await page.evaluate(driver);
  const result: Record<string, Fates> = {};
  for (const part of parts) {
    const fates: Fates = { read: 0, refused: 0, accidents: [] };
    result[part] = fates;
    for (let done = 0; done < n; done += atOnce) {
      const files = Array.from({ length: Math.min(atOnce, n - done) }, (_, i): [string, string] => {
        if (part === 'models') return ['m.onnx', Buffer.from(changed(whole, random)).toString('base64')];
        const [name, image] = images[(done + i) % images.length]!;
        const others = images.map(([, bytes]) => bytes);
        return [name, damage(image, others, random).toString('base64')];
      });
      const renew = done % perWorker === 0;
      const input = JSON.stringify([part, files, Buffer.from(scan).toString('base64'), renew]);
      const outcomes = (await page.evaluate(`fuzz(...${input})`)) as { code?: string; message?: string }[];
      for (const { code, message = '' } of outcomes) {
        if (code === undefined) fates.read++;
        else if (['worker', 'failed', 'memory'].includes(code) || message.length < 10)
          fates.accidents.push(`${code}: ${message}`);
        else fates.refused++;
      }
      onProgress?.(done);
    }
  }
  return result;
}

const onePixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** In the page: starts its worker as the page does, and asks it. */
const driver = `
globalThis.fuzz = (() => {
  let worker;
  let next = 0;
  const waiting = new Map();
  const begin = () => {
    const script = 'import ' + JSON.stringify(new URL('worker.js', document.baseURI).href) + ';';
    worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })), { type: 'module' });
    worker.onmessage = ({ data }) => {
      if ('progress' in data) return;
      waiting.get(data.id)?.(data);
      waiting.delete(data.id);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      for (const done of waiting.values()) done({ refusal: { code: 'worker', message: event.message || 'ended' } });
      waiting.clear();
    };
  };
  const ask = (name, ask) =>
    new Promise((done) => {
      waiting.set(next, done);
      worker.postMessage({ id: next++, name, ask });
    });
  const file = ([name, text]) => new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name);
  const limits = { mostBytes: 2 ** 26, mostPerAxis: 2048 };
  return async (part, files, scan, renew) => {
    const outcomes = [];
    if (renew) {
      worker?.terminate();
      worker = undefined;
    }
    for (const one of files) {
      if (!worker) {
        begin();
        await ask('openImage', { files: [file(['scan.nii', scan])], limits });
      }
      let reply;
      if (part === 'images') reply = await ask('openImage', { files: [file(one)], limits });
      else {
        reply = await ask('openModel', { files: [file(one)] });
        if (reply.answer) reply = await ask('detect', { minScore: 0, mostSeconds: 20, mostBytes: 2 ** 26 });
      }
      outcomes.push(reply.refusal ?? {});
      if (['worker', 'failed', 'memory'].includes(reply.refusal?.code)) {
        worker.terminate();
        worker = undefined;
      }
    }
    return outcomes;
  };
})();
0`;
