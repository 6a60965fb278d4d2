/** The pad: paints a drawing, and turns a mouse, a finger or a pen into strokes. */

import { SIZE } from "./mnist_form.js";

const SIDE = 560; // pixels of the pad's own, whatever its size on the screen
const PEN = 26; // of these, a pen of width 1
export const ERASER = 0.05; // radius, of the pad's side
const ERASER_BUTTON = 5; // the other end of a pen

const pad = document.getElementById("pad");
const surface = pad.getContext("2d");

/** Paint strokes or an image in the colour that the style sheet gives the pad. */
export function paint(drawing) {
  const ink = getComputedStyle(pad).color;
  surface.clearRect(0, 0, SIDE, SIDE);
  if (drawing.image) {
    surface.imageSmoothingEnabled = Boolean(drawing.image.picture);
    const { width, height } = drawing.image.picture ?? { width: SIZE, height: SIZE };
    const scale = SIDE / Math.max(width, height);
    const [left, top] = [width, height].map((side) => (SIDE - side * scale) / 2);
    const shown = drawing.image.picture ?? inked(drawing.image.pixels, ink);
    surface.drawImage(shown, left, top, width * scale, height * scale);
  }
  surface.strokeStyle = ink;
  surface.lineCap = surface.lineJoin = "round";
  for (const { width, points } of drawing.strokes) {
    const [[x, y], ...others] = points.map((point) => point.map((each) => each * SIDE));
    surface.lineWidth = PEN * width;
    surface.beginPath();
    surface.moveTo(x, y);
    if (!others.length) surface.lineTo(x, y);
    others.forEach(([toX, toY], k) => {
      const [nextX, nextY] = others[k + 1] ?? [toX, toY];
      surface.quadraticCurveTo(toX, toY, (toX + nextX) / 2, (toY + nextY) / 2);
    });
    surface.stroke();
  }
}

/** An image of 28x28 as a canvas, its ink in a colour and the rest transparent. */
function inked(levels, colour) {
  const canvas = new OffscreenCanvas(SIZE, SIZE);
  const context = canvas.getContext("2d");
  const image = new ImageData(SIZE, SIZE);
  levels.forEach((level, place) => (image.data[4 * place + 3] = level));
  context.putImageData(image, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = colour;
  context.fillRect(0, 0, SIZE, SIZE);
  return canvas;
}

/**
 * Draw or erase with what moves over the pad.
 *
 * brush: gives the width of the pen, or null for the eraser. changed: is called after each change,
 * with true at the end of a stroke. Gives a function that says whether a stroke is under way.
 */
export function listen(drawing, brush, changed) {
  let pointer = null;
  let last = null; // where it was
  let isInside = true;
  let isErasing = false;

  const places = (event) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    const passed = event.getCoalescedEvents?.() ?? [];
    return (passed.length ? passed : [event]).map(({ clientX, clientY }) => [
      (clientX - left) / width,
      (clientY - top) / height,
    ]);
  };
  const move = (point) => {
    const onPad = point.map((each) => Math.min(Math.max(each, 0), 1));
    const wasInside = isInside;
    isInside = point.every((each, axis) => each === onPad[axis]);
    if (isErasing) drawing.erase(last, point, ERASER);
    else if (isInside && !wasInside) drawing.lift(onPad);
    else if (wasInside) drawing.extend(onPad);
    last = point;
  };
  pad.addEventListener("pointerdown", (event) => {
    if (pointer !== null || (event.button !== 0 && event.button !== ERASER_BUTTON)) return;
    isErasing = event.button === ERASER_BUTTON || brush() === null;
    if (isErasing && !drawing.strokes.length) return;
    pointer = event.pointerId;
    pad.setPointerCapture(pointer);
    [last] = places({ clientX: event.clientX, clientY: event.clientY });
    isInside = true;
    if (isErasing) drawing.beginErasing();
    else drawing.begin(brush(), last.map((each) => Math.min(Math.max(each, 0), 1)));
    if (isErasing) move(last);
    changed(false);
  });
  pad.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    places(event).forEach(move);
    changed(false);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    pad.addEventListener(end, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      changed(true);
    });
  }
  return () => pointer !== null;
}
