import type { Session } from '../session.js';
import { App } from './app.js';
import { chosenFiles, droppedFiles } from './chosen-files.js';
import { element, say } from './dom.js';
import { lengthText, Overlay } from './overlay.js';
import { Scene, type View } from './scene.js';
import { partsOf, servedFiles, servedSession } from './served.js';
import type { Role } from './sort-files.js';
import { watchTheme } from './theme.js';
import { WorkerClient } from './worker-client.js';

const canvas = element<HTMLCanvasElement>('canvas');
const overlayCanvas = element<HTMLCanvasElement>('overlay');
const views: readonly View[] = ['all', 'axial', 'coronal', 'sagittal', 'volume'];

try {
  await start();
} catch (error) {
  say((error as Error).message, 'bad');
}

async function start(): Promise<void> {
  let overlay: Overlay | undefined;
  const scene = await Scene.create(canvas, () => {
    overlay?.draw(canvas);
    showPlace(scene);
  });
  overlay = new Overlay(overlayCanvas, scene);
  const app = new App(scene, overlay, new WorkerClient());
  watchTheme((dark) => scene.setBackground(dark ? [0.06, 0.06, 0.07] : [0.2, 0.2, 0.21]));
  listenToFiles(app);
  listenToControls(app, scene);
  const measuring = listenToMeasure(app, scene, overlay);
  listenToKeys(app, scene, measuring);
  new ResizeObserver(() => scene.draw()).observe(canvas);
  say('Drop an image and a model, or choose them.');
  const session = await servedSession();
  if (session) await openSession(app, session);
}

function showPlace(scene: Scene): void {
  const { image } = scene;
  if (!image) return;
  const [right, front, head] = scene.crosshair as [number, number, number];
  const unit = image.inMillimetres ? 'mm' : 'voxels';
  const digits = Math.max(1, Math.ceil(-Math.log10(Math.min(...image.spacing))) + 1);
  const place = (value: number) => value.toFixed(digits);
  const text = `left ${place(-right)}, back ${place(-front)}, head ${place(head)} ${unit}`;
  element('place').textContent = image.dim === 2 ? `x ${place(-right)}, y ${place(-front)} ${unit}` : text;
}

function listenToFiles(app: App): void {
  for (const input of document.querySelectorAll<HTMLInputElement>('input[data-open]')) {
    input.addEventListener('change', async () => {
      await app.open(input.dataset.open as Role, chosenFiles(input.files));
      input.value = ''; // the same file can be chosen again
    });
  }
  const veil = element('drop');
  let depth = 0;
  // Before NiiVue, which keeps what is dropped on its canvas to itself.
  const on = <K extends 'dragenter' | 'dragleave' | 'dragover' | 'drop'>(type: K, listener: (event: DragEvent) => unknown) =>
    addEventListener(type, (event) => void listener(event), { capture: true });
  on('dragenter', () => {
    depth++;
    veil.hidden = false;
  });
  on('dragleave', () => {
    if (--depth <= 0) veil.hidden = true;
  });
  on('dragover', (event) => event.preventDefault());
  on('drop', async (event) => {
    event.preventDefault();
    event.stopPropagation();
    depth = 0;
    veil.hidden = true;
    try {
      await app.openAll(await droppedFiles(event.dataTransfer!));
    } catch (error) {
      say((error as Error).message, 'bad');
    }
  });
}

function listenToControls(app: App, scene: Scene): void {
  const on = (id: string, type: string, listener: () => unknown) => element(id).addEventListener(type, () => void listener());
  on('detect', 'click', () => app.detect());
  on('cancel', 'click', () => app.cancel());
  on('score', 'input', () => app.filter());
  on('view', 'change', () => scene.setView(element<HTMLSelectElement>('view').value as View));
  on('channel', 'change', () => app.showChannel(Number(element<HTMLSelectElement>('channel').value)));
  const range = () =>
    scene.setRange(Number(element<HTMLInputElement>('low').value), Number(element<HTMLInputElement>('high').value));
  on('low', 'change', range);
  on('high', 'change', range);
  for (const layer of ['boxes', 'truth', 'segmentation']) on(`show-${layer}`, 'change', () => app.showLayers());
  for (const button of element('downloads').querySelectorAll('button'))
    button.addEventListener('click', () => void app.download(button.dataset.download as 'json' | 'csv' | 'nifti'));
  on('help', 'click', () => element<HTMLDialogElement>('keys').showModal());
}

interface Measuring {
  toggle(): void;
  clear(): boolean;
}

/** A line is drawn in a plane by dragging; its length stands beside it. */
function listenToMeasure(app: App, scene: Scene, overlay: Overlay): Measuring {
  const button = element('measure');
  const place = (event: PointerEvent) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return scene.millimetresAt(((event.clientX - left) * canvas.width) / width, ((event.clientY - top) * canvas.height) / height);
  };
  const isOn = () => button.getAttribute('aria-pressed') === 'true';
  const toggle = () => {
    button.setAttribute('aria-pressed', String(!isOn()));
    overlayCanvas.classList.toggle('measuring', isOn());
    say(isOn() ? 'Drag in a plane to measure.' : '');
  };
  button.addEventListener('click', toggle);
  overlayCanvas.addEventListener('pointerdown', (event) => {
    const from = place(event);
    overlay.measured = from && { from, to: from };
    overlayCanvas.setPointerCapture(event.pointerId);
  });
  overlayCanvas.addEventListener('pointermove', (event) => {
    const to = event.buttons > 0 ? place(event) : undefined;
    if (!to || !overlay.measured) return;
    overlay.measured.to = to;
    scene.draw();
    say(`Length ${lengthText(overlay.measured, app.image?.inMillimetres ?? true)}.`);
  });
  return {
    toggle,
    clear() {
      const something = overlay.measured !== undefined || isOn();
      overlay.measured = undefined;
      if (isOn()) toggle();
      scene.draw();
      return something;
    },
  };
}

function listenToKeys(app: App, scene: Scene, measuring: Measuring): void {
  const tick = (id: string) => {
    const box = element<HTMLInputElement>(id);
    if (!box.disabled) box.click();
  };
  const slide = (by: number) => {
    const slider = element<HTMLInputElement>('score');
    slider.value = String(Number(slider.value) + by);
    app.filter();
  };
  const view = (nth: number) => {
    if (scene.image?.dim === 2) return; // it has one plane
    element<HTMLSelectElement>('view').value = views[nth]!;
    scene.setView(views[nth]!);
  };
  const keys: Readonly<Record<string, () => unknown>> = {
    n: () => app.selectNext(1),
    p: () => app.selectNext(-1),
    d: () => app.detect(),
    m: () => measuring.toggle(),
    b: () => tick('show-boxes'),
    g: () => tick('show-truth'),
    s: () => tick('show-segmentation'),
    '+': () => slide(0.05),
    '-': () => slide(-0.05),
    '?': () => element<HTMLDialogElement>('keys').showModal(),
    Escape: () => (app.detecting ? app.cancel() : measuring.clear()),
    ...Object.fromEntries(views.map((_, nth) => [String(nth + 1), () => view(nth)])),
  };
  const steps: Readonly<Record<string, [number, number, number]>> = {
    ArrowLeft: [1, 0, 0], // the reader's left is the patient's right
    ArrowRight: [-1, 0, 0],
    ArrowUp: [0, 1, 0],
    ArrowDown: [0, -1, 0],
    PageUp: [0, 0, 1],
    PageDown: [0, 0, -1],
  };
  // Before NiiVue's own keys, which mean other things.
  addEventListener(
    'keydown',
    (event) => {
      const { target, key, ctrlKey, metaKey, altKey } = event;
      const typing = target instanceof HTMLInputElement && ['number', 'text'].includes(target.type);
      if (ctrlKey || metaKey || altKey || typing || target instanceof HTMLSelectElement || document.querySelector('dialog[open]'))
        return;
      const step = target === canvas ? steps[key] : undefined;
      const action = step ? () => scene.step(...step) : keys[key];
      if (!action) return;
      event.preventDefault();
      event.stopPropagation();
      void action();
    },
    { capture: true },
  );
}

/** Opens what `mdt view` brought: the first case, others by the reader's choice. */
async function openSession(app: App, session: Session): Promise<void> {
  document.title = `${session.title} · MDT viewer`;
  const select = element<HTMLSelectElement>('case');
  select.replaceChildren(...session.cases.map(({ id }, i) => new Option(id, String(i))));
  element('case-row').hidden = session.cases.length < 2;
  const openCase = async (index: number, first: boolean) => {
    const { id, dim, spacing } = session.cases[index] ?? {};
    const place = { ...(id !== undefined && { id }), ...(dim && { dim }), ...(spacing && { spacing }) };
    for (const [role, files] of partsOf(session, session.cases[index])) {
      if (!first && (role === 'model' || role === 'predictions')) continue;
      if (!(await app.open(role, await servedFiles(files), place))) return;
    }
  };
  select.addEventListener('change', () => void openCase(Number(select.value), false));
  await openCase(0, true);
}
