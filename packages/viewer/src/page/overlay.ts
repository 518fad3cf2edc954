import { classColor } from './colors.js';
import { decimals, distance, type Finding } from './findings.js';
import type { Scene } from './scene.js';

/** What is drawn over the picture. */
export interface Drawn {
  findings: readonly Finding[];
  selected: number | undefined;
  classes: readonly string[];
  truth: readonly (readonly number[])[];
  inMillimetres: boolean;
}

/** A measured line: two places in millimetres. */
export interface Measured {
  from: number[];
  to: number[];
}

/** With more findings than these, scores in the picture would hide it; the list has them. */
const mostLabels = 60;

/** Draws boxes, their scores and the measured line over the picture. */
export class Overlay {
  readonly #canvas: HTMLCanvasElement;
  readonly #scene: Scene;
  drawn: Drawn = { findings: [], selected: undefined, classes: [], truth: [], inMillimetres: true };
  measured: Measured | undefined;

  constructor(canvas: HTMLCanvasElement, scene: Scene) {
    this.#canvas = canvas;
    this.#scene = scene;
  }

  draw(picture: HTMLCanvasElement): void {
    const { width, height } = picture;
    this.#canvas.width = width;
    this.#canvas.height = height;
    const context = this.#canvas.getContext('2d')!;
    const unit = Math.max(1, width / Math.max(1, picture.clientWidth)); // pixels of the canvas per pixel of the page
    const { findings, selected, truth } = this.drawn;
    for (const [index, tile] of this.#scene.tiles.entries()) {
      context.save();
      context.beginPath();
      context.rect(tile.left, tile.top, tile.width, tile.height);
      context.clip();
      const outline = this.#scene.outliner(index);
      context.setLineDash([4 * unit, 3 * unit]);
      for (const box of truth) this.#outline(context, outline(box), '#ffffff', unit);
      context.setLineDash([]);
      for (const finding of findings) {
        const chosen = finding.index === selected;
        const color = classColor(finding.label);
        const points = this.#outline(context, outline(finding.box), color, (chosen ? 3 : 1.5) * unit);
        if (points.length > 0 && (chosen || (tile.kind === 'plane' && findings.length <= mostLabels)))
          this.#label(context, finding, points, color, unit);
      }
      context.restore();
    }
    this.#measure(context, unit);
  }

  #outline(
    context: CanvasRenderingContext2D,
    segments: [[number, number], [number, number]][],
    color: string,
    width: number,
  ): [number, number][] {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.beginPath();
    for (const [[x1, y1], [x2, y2]] of segments) {
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
    }
    context.stroke();
    return segments.flat();
  }

  #label(
    context: CanvasRenderingContext2D,
    { score, label }: Finding,
    points: [number, number][],
    color: string,
    unit: number,
  ): void {
    const left = Math.min(...points.map(([x]) => x));
    const top = Math.min(...points.map(([, y]) => y));
    const many = this.drawn.classes.length > 1;
    const text = `${many ? `${this.drawn.classes[label] ?? label} ` : ''}${score.toFixed(2)}`;
    context.font = `${11 * unit}px system-ui, sans-serif`;
    const { width } = context.measureText(text);
    const height = 14 * unit;
    context.fillStyle = 'rgb(0 0 0 / 65%)';
    context.fillRect(left, top - height, width + 6 * unit, height);
    context.fillStyle = color;
    context.fillText(text, left + 3 * unit, top - 4 * unit);
  }

  /** The measured line, where the planes show both of its ends. */
  #measure(context: CanvasRenderingContext2D, unit: number): void {
    if (!this.measured) return;
    const { from, to } = this.measured;
    const [a, b] = [this.#scene.pixelOf(from), this.#scene.pixelOf(to)];
    if (!a || !b) return;
    context.strokeStyle = '#ff5dc8';
    context.lineWidth = 2 * unit;
    context.beginPath();
    context.moveTo(...a);
    context.lineTo(...b);
    context.stroke();
    const text = lengthText(this.measured, this.drawn.inMillimetres);
    context.font = `${13 * unit}px system-ui, sans-serif`;
    const { width } = context.measureText(text);
    context.fillStyle = 'rgb(0 0 0 / 75%)';
    context.fillRect(b[0] + 4 * unit, b[1] - 18 * unit, width + 8 * unit, 18 * unit);
    context.fillStyle = '#ff9fe0';
    context.fillText(text, b[0] + 8 * unit, b[1] - 5 * unit);
  }
}

/** `12.3 mm`. */
export const lengthText = ({ from, to }: Measured, inMillimetres: boolean): string =>
  `${decimals(distance(from, to))} ${inMillimetres ? 'mm' : 'voxels'}`;
