import type { ChosenFile } from './chosen-files.js';
import { download, element, say } from './dom.js';
import { caseFor, type Finding, findingsOf, type PredictedCaseJson, parsePredictions } from './findings.js';
import { markSelected, showList } from './list.js';
import type { Overlay } from './overlay.js';
import type { DetectionRows, ImageInfo, ImagePlace, ModelInfo, Refusal } from './protocol.js';
import type { Layer, Scene } from './scene.js';
import { type Role, sortByRole } from './sort-files.js';
import type { WorkerClient } from './worker-client.js';
import { Refused } from './worker-client.js';

const slider = element<HTMLInputElement>('score');
const progress = element<HTMLProgressElement>('progress');

/** How long a detector may take to hear that it is cancelled before its worker is ended, in milliseconds. */
const patienceMs = 4000;

/** Refusals that are no fault of a file: the worker ended, ran out of memory, or threw what nobody foresaw. */
const accidents = new Set(['worker', 'memory', 'failed']);

/** What is open, and what the buttons of the page do with it. */
export class App {
  readonly #scene: Scene;
  readonly #overlay: Overlay;
  readonly #worker: WorkerClient;
  #image: ImageInfo | undefined;
  #model: ModelInfo | undefined;
  #classes: string[] = [];
  #found: DetectionRows | undefined;
  #findings: Finding[] = [];
  #selected: number | undefined;
  #truth: number[][] = [];
  #predictions: { classes: string[]; cases: PredictedCaseJson[] } | undefined;
  /** Gives a new worker what the last one had. */
  readonly #reopen = new Map<'image' | 'model', () => Promise<unknown>>();
  #detecting = false;

  constructor(scene: Scene, overlay: Overlay, worker: WorkerClient) {
    this.#scene = scene;
    this.#overlay = overlay;
    this.#worker = worker;
  }

  get image(): ImageInfo | undefined {
    return this.#image;
  }

  get detecting(): boolean {
    return this.#detecting;
  }

  /** Opens files that came together, each for what its name says. */
  async openAll(files: readonly ChosenFile[]): Promise<void> {
    const sorted = sortByRole(files);
    for (const role of ['image', 'predictions', 'truth', 'segmentation', 'model'] as const) {
      if (sorted[role].length > 0 && !(await this.open(role, sorted[role]))) return;
    }
  }

  /** Opens files for one purpose; false where they were refused, and the reader was told. */
  async open(role: Role, chosen: readonly ChosenFile[], place?: ImagePlace): Promise<boolean> {
    const files = chosen.map(({ file }) => file);
    if (files.length === 0) return false;
    const name =
      chosen.length === 1
        ? chosen[0]!.path
        : `${chosen[0]!.path.split('/').slice(0, -1).join('/') || 'files'} (${chosen.length} files)`;
    say(`Opening ${name} …`);
    try {
      const text = await this.#opened(role, files, { ...(chosen.length > 1 && folderName(chosen[0]!)), ...place });
      element('rows').querySelector(`[data-role="${role}"] .name`)!.textContent = name;
      say(text);
      return true;
    } catch (error) {
      this.#complain(error);
      await this.#recover(error);
      return false;
    } finally {
      this.#refresh();
    }
  }

  async #opened(role: Role, files: File[], place: ImagePlace): Promise<string> {
    if (role === 'image') return this.#openImage(files, place);
    if (role === 'model') return this.#openModel(files);
    if (role === 'predictions') return this.#openPredictions(files[0]!);
    return this.#openLabels(role, files);
  }

  async #openImage(files: File[], place: ImagePlace): Promise<string> {
    const ask = { files, limits: this.#limits, place };
    const { info, nifti } = await this.#worker.ask('openImage', ask);
    this.#reopen.set('image', () => this.#worker.ask('openImage', ask));
    this.#image = info;
    this.#truth = [];
    this.#setFound(undefined);
    for (const layer of ['truth', 'segmentation'] as const) this.#named(layer, 'none');
    await this.#scene.show(nifti, info);
    const channels = element<HTMLSelectElement>('channel');
    channels.replaceChildren(...Array.from({ length: info.channels }, (_, i) => new Option(String(i + 1), String(i))));
    element('channel-row').hidden = info.channels === 1;
    element('view-row').hidden = info.dim === 2;
    this.#showRange();
    this.#matchPredictions();
    const spacing = info.inMillimetres
      ? `, ${info.spacing.map((step) => Number(step.toPrecision(3))).join(' × ')} mm`
      : ', no voxel size';
    return `${info.id}: ${info.size.join(' × ')} voxels${spacing}.`;
  }

  async #openModel(files: File[]): Promise<string> {
    this.#model = undefined;
    this.#reopen.delete('model');
    const model = await this.#worker.ask('openModel', { files });
    this.#reopen.set('model', () => this.#worker.ask('openModel', { files }));
    this.#model = model;
    const { name, dim, classes, patchSize, runsOn } = model;
    element('model-info').textContent = `${dim}D, patches of ${patchSize.join(' × ')}, ${classes.join(', ')}; runs on ${runsOn}.`;
    return `Model ${name} is ready.`;
  }

  async #openPredictions(file: File): Promise<string> {
    this.#predictions = parsePredictions(await file.text(), file.name);
    const count = this.#matchPredictions();
    if (count !== undefined) return `${file.name}: ${count} detections of this image.`;
    return this.#image
      ? `${file.name} has no case for an image of ${this.#image.size.join(' × ')} voxels named ${this.#image.id}.`
      : `${file.name}: ${this.#predictions.cases.length} cases; open an image of theirs.`;
  }

  #matchPredictions(): number | undefined {
    const own = this.#predictions && this.#image && caseFor(this.#predictions.cases, this.#image);
    if (!own) return undefined;
    this.#classes = this.#predictions!.classes;
    this.#setFound(own.found);
    return own.found.labels.length;
  }

  async #openLabels(layer: Layer, files: File[]): Promise<string> {
    if (!this.#image) throw new Error('open the image first: a label map lies on its voxels');
    await this.#reopenLost();
    const { nifti, most, objects } = await this.#worker.ask('openLabels', { files, limits: this.#limits });
    if (layer === 'truth') this.#truth = objects.boxes;
    await this.#scene.setLayer(layer, { nifti, most });
    return layer === 'truth' ? `Ground truth: ${objects.boxes.length} objects.` : 'Segmentation shown.';
  }

  /** Detects in the open image; the reader sees how far it is. */
  async detect(): Promise<void> {
    if (!this.#image || !this.#model || this.#detecting) return;
    this.#detecting = true;
    this.#refresh();
    progress.value = 0;
    say('Detecting …');
    const mostSeconds = Number(element<HTMLInputElement>('most-seconds').value) || 3600;
    // The detector looks at the time between tiles; one tile that takes longer is ended from here.
    const timer = setTimeout(
      () => void this.#renewWorker({ code: 'time', message: 'stopped at the time limit of the settings' }),
      mostSeconds * 1000 + patienceMs,
    );
    try {
      await this.#reopenLost();
      const limits = { mostSeconds, mostBytes: this.#limits.mostBytes };
      const { found, seconds, segmentation } = await this.#worker.ask('detect', { minScore: 0, ...limits }, (done, total) => {
        progress.value = done / total;
        say(`Detecting: ${done} of ${total} tiles.`);
      });
      progress.value = 1;
      this.#classes = this.#model.classes;
      this.#setFound(found, this.#model.score);
      if (segmentation) {
        await this.#scene.setLayer('segmentation', segmentation);
        this.#named('segmentation', 'of the model');
      }
      say(`${found.labels.length} detections in ${seconds.toFixed(1)} s.`);
    } catch (error) {
      progress.value = 0;
      if (error instanceof Refused && error.code === 'cancelled') say('Cancelled.');
      else {
        this.#complain(error);
        await this.#recover(error);
      }
    } finally {
      clearTimeout(timer);
      this.#detecting = false;
      this.#refresh();
    }
  }

  /** Asks the detector to stop after its tile; one that does not hear is ended, and its files are opened again. */
  async cancel(): Promise<void> {
    if (!this.#detecting) return;
    void this.#worker.ask('cancel', {}).catch(() => {});
    await new Promise((done) => setTimeout(done, patienceMs));
    if (this.#detecting) await this.#renewWorker({ code: 'cancelled', message: 'cancelled' });
  }

  /** Shows another channel of the image. */
  async showChannel(channel: number): Promise<void> {
    if (!this.#image) return;
    await this.#reopenLost();
    const { nifti } = await this.#worker.ask('showChannel', { channel });
    await this.#scene.show(nifti, this.#image);
    for (const layer of ['truth', 'segmentation'] as const) this.#named(layer, 'none');
    this.#showRange();
    this.#refresh();
  }

  /** The findings that the slider lets through. */
  get shown(): Finding[] {
    const least = Number(slider.value);
    return this.#findings.filter(({ score }) => score >= least);
  }

  /** Jumps to a finding. */
  select(finding: Finding): void {
    this.#selected = finding.index;
    markSelected(finding.index);
    this.#updateOverlay();
    this.#scene.goTo(finding.middle);
    const nth = this.shown.findIndex(({ index }) => index === finding.index) + 1;
    say(
      `Finding ${nth} of ${this.shown.length}: ${this.#classes[finding.label] ?? finding.label}, score ${finding.score.toFixed(3)}.`,
    );
  }

  /** Jumps to the finding `step` places on in the list. */
  selectNext(step: number): void {
    const { shown } = this;
    if (shown.length === 0) return;
    const at = shown.findIndex(({ index }) => index === this.#selected);
    this.select(shown[at < 0 ? (step > 0 ? 0 : shown.length - 1) : (at + step + shown.length) % shown.length]!);
  }

  /** The findings that are shown, as a file. */
  async download(format: 'json' | 'csv' | 'nifti'): Promise<void> {
    if (!this.#image) return;
    const { id, dim, size, spacing, origin, direction } = this.#image;
    const { shown } = this;
    const found = { boxes: shown.map((f) => f.box), scores: shown.map((f) => f.score), labels: shown.map((f) => f.label) };
    const image = { dim, size, spacing, origin, ...(direction && { direction }) };
    try {
      const { bytes } = await this.#worker.ask('export', { format, id, classes: this.#classes, image, found });
      const name = { json: `${id}-predictions.json`, csv: `${id}-predictions.csv`, nifti: `${id}-boxes.nii.gz` }[format];
      download(name, bytes);
      say(`${name}: ${shown.length} detections.`);
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Draws the list and the boxes for the slider's place. */
  filter(): void {
    element('score-value').textContent = Number(slider.value).toFixed(2);
    const { shown } = this;
    element('count').textContent = this.#found ? `${shown.length} of ${this.#findings.length}` : '';
    showList(shown, {
      classes: this.#classes,
      inMillimetres: this.#image?.inMillimetres ?? true,
      selected: this.#selected,
      onSelect: (finding) => this.select(finding),
    });
    this.#updateOverlay();
    this.#scene.draw();
  }

  /** Shows and hides what the boxes of the page are ticked for. */
  showLayers(): void {
    for (const layer of ['truth', 'segmentation'] as const) this.#scene.showLayer(layer, ticked(`show-${layer}`));
    this.#updateOverlay();
    this.#scene.draw();
  }

  #setFound(found: DetectionRows | undefined, least = 0): void {
    this.#found = found;
    this.#findings = found && this.#image ? findingsOf(found, this.#image) : [];
    this.#selected = undefined;
    slider.value = String(Math.floor(least * 100) / 100);
    this.filter();
  }

  #updateOverlay(): void {
    this.#overlay.drawn = {
      findings: ticked('show-boxes') ? this.shown : [],
      selected: this.#selected,
      classes: this.#classes,
      truth: ticked('show-truth') ? this.#truth : [],
      inMillimetres: this.#image?.inMillimetres ?? true,
    };
  }

  get #limits() {
    const mebibytes = Number(element<HTMLInputElement>('most-mebibytes').value) || 1024;
    return { mostBytes: mebibytes * 2 ** 20, mostPerAxis: this.#scene.mostPerAxis };
  }

  #named(role: Role, text: string): void {
    element('rows').querySelector(`[data-role="${role}"] .name`)!.textContent = text;
  }

  #showRange(): void {
    const [low, high] = this.#scene.range;
    element<HTMLInputElement>('low').value = String(Number(low.toPrecision(5)));
    element<HTMLInputElement>('high').value = String(Number(high.toPrecision(5)));
  }

  /** What can be pressed. */
  #refresh(): void {
    element<HTMLButtonElement>('detect').disabled = !this.#image || !this.#model || this.#detecting;
    element<HTMLButtonElement>('cancel').disabled = !this.#detecting;
    for (const button of element('downloads').querySelectorAll('button')) button.disabled = !this.#found;
    for (const layer of ['truth', 'segmentation'] as const)
      element<HTMLInputElement>(`show-${layer}`).disabled = !this.#scene.hasLayer(layer);
    this.#updateOverlay();
    this.#scene.draw();
  }

  #complain(error: unknown): void {
    const code = (error as { code?: unknown }).code;
    say((error as Error).message || String(error), 'bad', typeof code === 'string' ? code : '');
  }

  /** After an accident that may have left the worker broken, a new one gets what was open. */
  async #recover(error: unknown): Promise<void> {
    if (!(error instanceof Refused) || !accidents.has(error.code)) return;
    await this.#renewWorker({ code: 'worker', message: 'the part of the page that reads and detects was started anew' });
  }

  /** Ends the worker, whatever it does, and gives another one what was open. */
  async #renewWorker(reason: Refusal): Promise<void> {
    this.#worker.stop(reason);
    await this.#reopenLost();
  }

  /** Where the worker has ended, also while nothing was asked of it, a new one gets what was open. */
  async #reopenLost(): Promise<void> {
    if (this.#worker.isRunning) return;
    for (const [what, open] of this.#reopen) {
      try {
        await open();
      } catch {
        this.#reopen.delete(what);
        if (what === 'model') this.#model = undefined;
        else this.#image = undefined;
      }
    }
  }
}

/** The name of an image of many files: that of their folder. */
const folderName = ({ path }: ChosenFile): ImagePlace => {
  const id = path.split('/').at(-2);
  return id ? { id } : {};
};

const ticked = (id: string): boolean => element<HTMLInputElement>(id).checked;
