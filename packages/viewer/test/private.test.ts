import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { volume } from '@mdt/core';
import { encodeDicomSlice, encodeNifti, encodeNrrd } from '@mdt/formats';
import { beforeAll, expect, test } from 'vitest';
import { makeModels } from './models.js';
import { useReader } from './page.js';

const use = useReader();

/** Markup that would ask another server, in every way that an element knows. */
const evil = (url: string) =>
  `"><img src=${url}/img onerror=alert(1)><script>alert(2);fetch('${url}/script')</script><style>@import '${url}/style'</style>`;

/** A server of somebody else, and what it heard. */
async function stranger() {
  const heard: string[] = [];
  const server = createServer((request, response) => {
    heard.push(request.url!);
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end('leak');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, heard, close: () => new Promise((done) => server.close(done)) };
}

let other: Awaited<ReturnType<typeof stranger>>;
beforeAll(async () => {
  other = await stranger();
  return async () => {
    await other.close();
  };
});

test('names of files, patients, classes and cases are text, whatever is in them', async () => {
  const { reader, folder } = use;
  const attack = evil(other.url);
  const { flat } = await makeModels(folder, ['flat'], [attack, 'b']);
  const named = join(folder, '<img src=x onerror=alert(3)>.nrrd');
  const pixels = Uint8Array.from({ length: 64 * 64 }, (_, i) => (i * 7) % 251);
  await writeFile(named, encodeNrrd(volume({ dim: 2, size: [64, 64], data: pixels })));
  await reader.choose('image', named);
  await reader.says(/^<img src=x onerror=alert\(3\)>: 64 × 64 voxels/);
  await reader.choose('model', flat);
  await reader.says(/is ready/);
  expect(await reader.page.textContent('#model-info')).toContain(attack);
  await reader.press('d');
  await reader.says(/\d+ detections in/);
  await reader.press('n');
  await reader.says(/^Finding 1 of/);
  expect(await reader.page.locator('#list .kind').allTextContents()).toContain(attack);
  const csv = (await reader.downloaded('csv')).bytes.toString();
  expect(csv).toContain(attack.replaceAll('"', '""'));

  const dicom = join(folder, 'evil.dcm');
  const uid = '1.2.3.4';
  const slice = { patient: attack.slice(0, 60), studyUid: uid, seriesUid: uid, sliceUid: uid, frameUid: uid, instance: 1 };
  const grid = { rows: 8, columns: 8, pixels: new Int16Array(64), spacing: [1, 1] as const, thickness: 1 };
  await writeFile(dicom, encodeDicomSlice({ ...slice, ...grid, position: [0, 0, 0], orientation: [1, 0, 0, 0, 1, 0] }));
  await reader.choose('image', dicom);
  await reader.says(/^evil: 8 × 8 voxels/);

  const predictions = join(folder, 'p.json');
  const cases = [{ id: attack, size: [8, 8], detections: [{ box: [1, 1, 3, 3], score: 0.5, label: 0 }] }];
  await writeFile(predictions, JSON.stringify({ format: 'mdt-predictions', classes: [attack], cases }));
  await reader.choose('predictions', predictions);
  await reader.says(/1 detections of this image/);
  const refused = join(folder, `${'<b onmouseover=alert(4)>'}.nii`);
  await writeFile(refused, encodeNifti(volume({ dim: 2, size: [2, 2], data: new Uint8Array(4) })).subarray(0, 100));
  await reader.choose('image', refused);
  await reader.says(/^<b onmouseover=alert\(4\)>.nii: /);
  expect(await reader.page.locator('b, main img, main script, main style').count()).toBe(0);
  expect([other.heard, reader.complaints, reader.foreign]).toEqual([[], [], []]);
}, 300_000);

test('nothing is asked of anyone but the page’s own server, though scripts of the page try', async () => {
  const { reader } = use;
  const target = `${other.url}/leak`;
  const before = reader.complaints.length;
  const outcome = await reader.page.evaluate(async (url) => {
    const { document, Worker, URL: Urls, Blob: Blobs, Image } = globalThis as never as Record<string, never>;
    type Any = (...args: unknown[]) => never;
    const tried: Record<string, string> = {};
    tried.fetch = await fetch(url).then(
      () => 'sent',
      () => 'refused',
    );
    tried.beacon = (globalThis as unknown as { navigator: { sendBeacon: Any } }).navigator.sendBeacon(url, 'x')
      ? 'queued'
      : 'refused';
    tried.image = await new Promise<string>((done) => {
      const image = new (Image as unknown as new () => Record<string, unknown>)();
      image.onload = () => done('sent');
      image.onerror = () => done('refused');
      image.src = url;
    });
    const script = `fetch(${JSON.stringify(url)}).then(() => postMessage('sent'), () => postMessage('refused'))`;
    const address = (Urls as unknown as { createObjectURL: Any }).createObjectURL(
      new (Blobs as unknown as new (parts: string[]) => unknown)([script]),
    );
    tried.worker = await new Promise<string>((done) => {
      const worker = new (Worker as unknown as new (url: string) => Record<string, unknown>)(address);
      worker.onmessage = (event: { data: string }) => done(event.data);
    });
    try {
      new Function('return 1')();
      tried.eval = 'ran';
    } catch {
      tried.eval = 'refused';
    }
    const element = document as unknown as { createElement: (tag: string) => Record<string, unknown>; head: { append: Any } };
    tried.script = await new Promise<string>((done) => {
      const tag = element.createElement('script');
      tag.onload = () => done('sent');
      tag.onerror = () => done('refused');
      tag.src = url;
      element.head.append(tag);
    });
    return tried;
  }, target);
  await new Promise((done) => setTimeout(done, 300));
  expect(outcome).toEqual({
    fetch: 'refused',
    beacon: expect.any(String),
    image: 'refused',
    worker: 'refused',
    eval: 'refused',
    script: 'refused',
  });
  expect(other.heard).toEqual([]); // a queued beacon was refused as well
  reader.complaints.splice(before); // what the browser says of each refusal
  expect(reader.foreign.filter((url) => url !== target)).toEqual([]); // refused before they left
  expect(reader.requests.length).toBeGreaterThan(5);
});
