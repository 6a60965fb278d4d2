/** What is on the pad: strokes, or an example of the test set; and every step that led there. */

import { SIZE } from "./handwriting.js";

export const SIDE = 560; // pixels of the pad's own, whatever its size on the screen
const PEN = 44; // so a digit that fills the pad has strokes as wide as MNIST's
const INK = "#222222"; // only its opacity is read; the style sheet turns it light in the dark
const EMPTY = { example: null, strokes: [] };

export class Drawing {
  #steps = [EMPTY];

  get #now() {
    return this.#steps.at(-1);
  }

  /** The example on the pad, or null. */
  get example() {
    return this.#now.example;
  }

  get isEmpty() {
    return !this.#now.example && !this.#now.strokes.length;
  }

  get canUndo() {
    return this.#steps.length > 1;
  }

  /** Begin a stroke; it takes an example's place. */
  begin(x, y) {
    this.#steps.push({ example: null, strokes: [...this.#now.strokes, [{ x, y }]] });
  }

  extend(x, y) {
    this.#now.strokes.at(-1).push({ x, y });
  }

  show(example) {
    this.#steps.push({ example, strokes: [] });
  }

  clear() {
    if (!this.isEmpty) this.#steps.push(EMPTY);
  }

  undo() {
    if (this.canUndo) this.#steps.pop();
  }

  /** Repaint the pad. */
  paint(context) {
    context.clearRect(0, 0, SIDE, SIDE);
    if (this.example) {
      context.imageSmoothingEnabled = false;
      context.drawImage(picture(this.example.pixels), 0, 0, SIDE, SIDE);
    }
    for (const stroke of this.#now.strokes) paintStroke(context, stroke);
  }
}

/** A small canvas with ink as strong as the levels say. */
export function picture(levels) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE;
  const image = new ImageData(SIZE, SIZE);
  const ink = Number.parseInt(INK.slice(1, 3), 16);
  levels.forEach((level, place) => image.data.set([ink, ink, ink, level], 4 * place));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function paintStroke(context, points) {
  const [first] = points;
  const last = points.at(-1);
  context.strokeStyle = context.fillStyle = INK;
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  if (points.every(({ x, y }) => x === first.x && y === first.y)) {
    context.arc(first.x, first.y, PEN / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  context.moveTo(first.x, first.y);
  for (let k = 1; k < points.length - 1; k++) {
    const { x, y } = points[k];
    context.quadraticCurveTo(x, y, (x + points[k + 1].x) / 2, (y + points[k + 1].y) / 2);
  }
  context.lineTo(last.x, last.y);
  context.stroke();
}
