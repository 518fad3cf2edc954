import { pointsToPhysical, toPhysical } from '@mdt/core';
import { DRAG_MODE, MULTIPLANAR_TYPE, Niivue, NVImage, SHOW_RENDER, SLICE_TYPE } from '@niivue/niivue';
import { labelColors } from './colors.js';
import { placementOf } from './findings.js';
import type { ImageInfo } from './protocol.js';

export type View = 'all' | 'axial' | 'coronal' | 'sagittal' | 'volume';
export type Layer = 'truth' | 'segmentation';

const sliceTypes: Readonly<Record<View, SLICE_TYPE>> = {
  all: SLICE_TYPE.MULTIPLANAR,
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
  volume: SLICE_TYPE.RENDER,
};

/** A rectangle of the canvas that shows a plane or the volume; pixels of the canvas. */
export interface Tile {
  kind: 'plane' | 'volume';
  /** Of a plane: the axis of the display (0 sagittal, 1 coronal, 2 axial) that it lies across. */
  across: number;
  left: number;
  top: number;
  width: number;
  height: number;
}

type Point = [x: number, y: number];

/** The image on the screen: NiiVue, and where a place of the image lies on its canvas. */
export class Scene {
  readonly #nv: Niivue;
  #info: ImageInfo | undefined;
  readonly #layers = new Map<Layer, NVImage>();
  #view: View = 'all';

  private constructor(nv: Niivue) {
    this.#nv = nv;
  }

  /**
   * @param onDraw called after each picture
   * @throws Error where the browser has no WebGL 2
   */
  static async create(canvas: HTMLCanvasElement, onDraw: () => void): Promise<Scene> {
    if (!document.createElement('canvas').getContext('webgl2')) {
      throw new Error('this browser has no WebGL 2, which shows the images: update it, or turn hardware acceleration on');
    }
    const nv = new Niivue({
      dragAndDropEnabled: false,
      isRadiologicalConvention: true,
      isResizeCanvas: true,
      multiplanarShowRender: SHOW_RENDER.ALWAYS,
      multiplanarLayout: MULTIPLANAR_TYPE.GRID,
      show3Dcrosshair: true,
      crosshairWidth: 0.5,
      crosshairColor: [0.5, 0.5, 0.5, 0.8],
      dragMode: DRAG_MODE.contrast,
      loadingText: '',
      logLevel: 'error',
      tileMargin: 4,
    });
    await nv.attachToCanvas(canvas);
    const scene = new Scene(nv);
    const drawScene = nv.drawScene.bind(nv);
    nv.drawScene = () => {
      const text = drawScene();
      onDraw();
      return text;
    };
    return scene;
  }

  /** Voxels along one axis that the graphics can show. */
  get mostPerAxis(): number {
    return this.#nv.gl.getParameter(this.#nv.gl.MAX_3D_TEXTURE_SIZE) as number;
  }

  get image(): ImageInfo | undefined {
    return this.#info;
  }

  /** Shows an image in place of all that was there. */
  async show(nifti: Uint8Array, info: ImageInfo): Promise<void> {
    const crosshair = this.#info?.id === info.id ? this.#nv.scene.crosshairPos : undefined;
    const image = await load(nifti);
    for (const volume of [...this.#nv.volumes]) this.#nv.removeVolume(volume);
    this.#layers.clear();
    this.#info = info;
    this.#nv.addVolume(image);
    if (crosshair) this.#nv.scene.crosshairPos = crosshair;
    this.#showView();
  }

  /** Shows a label map over the image, or takes it away. */
  async setLayer(layer: Layer, map: { nifti: Uint8Array; most: number } | undefined): Promise<void> {
    const old = this.#layers.get(layer);
    if (old) this.#nv.removeVolume(old);
    this.#layers.delete(layer);
    if (!map) return this.draw();
    const image = await load(map.nifti);
    image.hdr!.intent_code = 1002; // NIFTI_INTENT_LABEL: ids are colours, not grey values
    image.setColormapLabel(labelColors(Math.max(map.most, 1)));
    image.opacity = layer === 'truth' ? 0.35 : 0.5;
    this.#nv.addVolume(image);
    this.#layers.set(layer, image);
  }

  showLayer(layer: Layer, visible: boolean): void {
    const image = this.#layers.get(layer);
    if (!image) return;
    this.#nv.setOpacity(this.#nv.volumes.indexOf(image), visible ? (layer === 'truth' ? 0.35 : 0.5) : 0);
  }

  hasLayer(layer: Layer): boolean {
    return this.#layers.has(layer);
  }

  /** Chooses what volumes are seen in, this one and those to come; images are seen in their one plane. */
  setView(view: View): void {
    this.#view = view;
    this.#showView();
  }

  #showView(): void {
    this.#nv.setSliceType(sliceTypes[this.#info?.dim === 2 ? 'axial' : this.#view]);
  }

  /** Grey values that are black and white. */
  get range(): [number, number] {
    const [image] = this.#nv.volumes;
    return [image?.cal_min ?? 0, image?.cal_max ?? 1];
  }

  setRange(low: number, high: number): void {
    const [image] = this.#nv.volumes;
    if (!image || !(low < high)) return;
    image.cal_min = low;
    image.cal_max = high;
    this.#nv.updateGLVolume();
  }

  setBackground(color: [number, number, number]): void {
    this.#nv.opts.backColor = [...color, 1];
    this.draw();
  }

  draw(): void {
    this.#nv.drawScene();
  }

  /** Moves the crosshair to a place of the image, in voxels as the edges of boxes count them. */
  goTo(voxel: readonly number[]): void {
    if (!this.#info) return;
    this.#nv.scene.crosshairPos = this.#fractionOf(this.#millimetres(voxel)) as Niivue['scene']['crosshairPos'];
    this.draw();
  }

  /** Moves the crosshair by voxels of the display: to the left or right, back or front, down or up. */
  step(x: number, y: number, z: number): void {
    this.#nv.moveCrosshairInVox(x, y, z);
  }

  /** Where the crosshair is: millimetres to the right, front and head. */
  get crosshair(): number[] {
    return Array.from(this.#nv.frac2mm(this.#nv.scene.crosshairPos, 0, true)).slice(0, 3);
  }

  /** The parts of the canvas. */
  get tiles(): Tile[] {
    if (!this.#info) return [];
    return this.#nv.screenSlices.map(({ leftTopWidthHeight, axCorSag }) => {
      const [left, top, width, height] = leftTopWidthHeight as [number, number, number, number];
      const kind = axCorSag === SLICE_TYPE.RENDER ? 'volume' : 'plane';
      const across = 2 - axCorSag;
      return { kind, across, left: Math.min(left, left + width), top, width: Math.abs(width), height };
    });
  }

  /**
   * What draws boxes in a tile: gives the outline of a box as segments in pixels of the canvas; none where the plane does not cut it.
   * It holds for one picture.
   */
  outliner(tileIndex: number): (box: readonly number[]) => [Point, Point][] {
    const slice = this.#nv.screenSlices[tileIndex];
    if (!this.#info || !slice) return () => [];
    if (slice.axCorSag === SLICE_TYPE.RENDER) {
      const project = this.#projection(slice.leftTopWidthHeight);
      return (box) => {
        const points = this.#corners(box).map(project);
        return edges.map(([a, b]) => [points[a]!, points[b]!]);
      };
    }
    const across = 2 - slice.axCorSag;
    const at = this.#nv.scene.crosshairPos[across]!;
    return (box) => {
      const fractions = this.#corners(box).map((corner) => this.#fractionOf(corner));
      const low = [0, 1, 2].map((axis) => Math.min(...fractions.map((f) => f[axis]!)));
      const high = [0, 1, 2].map((axis) => Math.max(...fractions.map((f) => f[axis]!)));
      if (at < low[across]! || at >= high[across]!) return [];
      const [a, b] = [low, high].map((end) => this.#onPlane(end.with(across, at), slice)) as [Point, Point];
      const around: Point[] = [a, [b[0], a[1]], b, [a[0], b[1]]];
      return around.map((point, i) => [point, around[(i + 1) % 4]!]);
    };
  }

  /** Millimetres (right, front, head) of a place of the canvas; undefined where it shows none. */
  millimetresAt(x: number, y: number): number[] | undefined {
    const fraction = this.#nv.canvasPos2frac([x, y]);
    if (!(fraction[0] >= 0)) return undefined;
    return Array.from(this.#nv.frac2mm(fraction, 0, true)).slice(0, 3);
  }

  /** The place on the canvas of millimetres; undefined where no plane shows it. */
  pixelOf(mm: readonly number[]): Point | undefined {
    const found = this.#nv.frac2canvasPos(this.#fractionOf(mm) as Parameters<Niivue['frac2canvasPos']>[0]);
    return found ? [found[0]!, found[1]!] : undefined;
  }

  /** Millimetres to the right, front and head of a voxel, edges counted. */
  #millimetres(voxel: readonly number[]): number[] {
    const info = this.#info!;
    const centre = voxel.map((edge) => edge - 0.5);
    return ras(Array.from(pointsToPhysical(centre, placementOf(info))));
  }

  /** The corners of a box; bit 0 of an index says which end of the first axis of the display, and so on. */
  #corners(box: readonly number[]): number[][] {
    const { dim } = this.#info!;
    const three = dim === 3 ? box : [0, box[0]!, box[1]!, 1, box[2]!, box[3]!];
    const place = placementOf(this.#info!);
    return Array.from({ length: 8 }, (_, corner) => {
      const voxel = [0, 1, 2].map((axis) => three[axis + (corner & (4 >> axis) ? 3 : 0)]!);
      if (dim === 3) return this.#millimetres(voxel);
      const [y, x] = toPhysical([voxel[1]!, voxel[2]!, voxel[1]!, voxel[2]!], place);
      return ras([voxel[0]! - 0.5, y!, x!]);
    });
  }

  #fractionOf(mm: readonly number[]): number[] {
    return Array.from(this.#nv.mm2frac(mm as [number, number, number], 0, true));
  }

  #onPlane(fraction: readonly number[], slice: Niivue['screenSlices'][number]): Point {
    const [x, y, z] = this.#nv.frac2mm(fraction as [number, number, number], 0, false) as unknown as [number, number, number];
    const flat = slice.axCorSag === SLICE_TYPE.AXIAL ? [x, y] : slice.axCorSag === SLICE_TYPE.CORONAL ? [x, z] : [y, z];
    const [left, top, width, height] = slice.leftTopWidthHeight as [number, number, number, number];
    const across = (flat[0]! - slice.leftTopMM[0]!) / slice.fovMM[0]!;
    const up = (flat[1]! - slice.leftTopMM[1]!) / slice.fovMM[1]!;
    return [left + across * width, top + (1 - up) * height];
  }

  /** From millimetres to pixels of the canvas, in the part that shows the volume. */
  #projection(ltwh: readonly number[]): (mm: readonly number[]) => Point {
    const { renderAzimuth, renderElevation } = this.#nv.scene;
    const [matrix] = this.#nv.calculateMvpMatrix(null, [...ltwh], renderAzimuth, renderElevation);
    const [left, top, width, height] = ltwh as [number, number, number, number];
    return (mm) => {
      const at = (row: number) => [0, 1, 2].reduce((sum, k) => sum + matrix![4 * k + row]! * mm[k]!, matrix![12 + row]!);
      const w = at(3);
      return [left + ((at(0) / w + 1) / 2) * width, top + ((1 - at(1) / w) / 2) * height];
    };
  }
}

/** Pairs of corners that differ in one axis. */
const edges = Array.from({ length: 8 }, (_, a) =>
  [1, 2, 4].filter((bit) => !(a & bit)).map((bit) => [a, a | bit] as const),
).flat();

/** Array order and LPS to right, front, head. */
const ras = ([...mm]: readonly number[]): number[] => {
  const [z, y, x] = mm.length === 3 ? mm : [0, ...mm];
  return [-x!, -y!, z!];
};

async function load(nifti: Uint8Array): Promise<NVImage> {
  const file = new File([nifti as Uint8Array<ArrayBuffer>], 'image.nii');
  return NVImage.loadFromFile({ file, name: 'image.nii' });
}
