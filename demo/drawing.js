/** What is on the pad, step by step: strokes, or an image that was chosen. */

import { erased } from "./strokes.js";

const KEPT = "drawing"; // in the browser's storage
const EMPTY = { image: null, strokes: [] };

/** Undo goes back to the start of the current drawing, and to what that took the place of. */
export class Drawing {
  #steps = [EMPTY];
  #place = 0;

  get #now() {
    return this.#steps[this.#place];
  }

  get strokes() {
    return this.#now.strokes;
  }

  /** {pixels, source, label, picture}, or null. */
  get image() {
    return this.#now.image;
  }

  get isEmpty() {
    return !this.image && !this.strokes.length;
  }

  get canUndo() {
    return this.#place > 0;
  }

  get canRedo() {
    return this.#place < this.#steps.length - 1;
  }

  #push(content, isNew) {
    this.#steps = isNew ? [this.#now, content] : [...this.#steps.slice(0, this.#place + 1), content];
    this.#place = this.#steps.length - 1;
  }

  /** Begin a stroke; it takes an image's place. */
  begin(width, point) {
    const stroke = { width, points: [point] };
    this.#push({ image: null, strokes: [...this.strokes, stroke] }, !this.strokes.length);
  }

  extend(point) {
    this.strokes.at(-1).points.push(point);
  }

  /** Go on with the stroke elsewhere: the pen left the pad and came back. */
  lift(point) {
    this.strokes.push({ width: this.strokes.at(-1).width, points: [point] });
  }

  beginErasing() {
    this.#push({ ...this.#now, strokes: [...this.strokes] }, false);
  }

  erase(from, to, radius) {
    this.#steps[this.#place] = { ...this.#now, strokes: erased(this.strokes, from, to, radius) };
  }

  show(image) {
    this.#push({ image, strokes: [] }, true);
  }

  clear() {
    if (!this.isEmpty) this.#push(EMPTY, false);
  }

  undo() {
    if (this.canUndo) this.#place--;
  }

  redo() {
    if (this.canRedo) this.#place++;
  }

  /** Keep the strokes for the next visit, as far as the browser allows it. */
  keep() {
    try {
      const rounded = this.strokes.map(({ width, points }) => ({
        width,
        points: points.map((point) => point.map((each) => Math.round(1e4 * each) / 1e4)),
      }));
      localStorage.setItem(KEPT, JSON.stringify(rounded));
    } catch {
      // storage is denied or full: then a reload empties the pad
    }
  }

  /** Bring back what was kept, unless it is damaged. */
  restore() {
    try {
      const strokes = JSON.parse(localStorage.getItem(KEPT));
      if (strokes?.length && strokes.every(isStroke)) this.#steps = [EMPTY, { image: null, strokes }];
    } catch {
      // storage is denied, or what it holds is not ours
    }
    this.#place = this.#steps.length - 1;
  }
}

function isStroke({ width, points }) {
  const isPoint = (point) => point.length === 2 && point.every((each) => each >= 0 && each <= 1);
  return width > 0.1 && width < 10 && points.length > 0 && points.every(isPoint);
}
