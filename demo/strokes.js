/**
 * Strokes, as the image that the network reads.
 *
 * A stroke is {width, points}: its width in pens of MNIST, and [x, y] in a pad of side 1. However
 * large a digit is on the pad, it is drawn for the network with a pen of MNIST, its longer side 20
 * of 28 pixels, and its centre of mass in the middle, as MNIST's digits are.
 */

import { SIZE } from "./mnist_form.js";

const BOX = 20; // pixels, of the digit in the image
const MIDDLE = 14; // index of the pixel on which MNIST's centres of mass round
const PEN = 2.5; // pixels, of MNIST's strokes
const DOT = 0.03; // of the pad; smaller drawings are enlarged no further
const FLAT = 0.25; // height over width; no digit is flatter
const TALL = 0.5; // of the drawing's height, from which a part can be a digit of its own

/** Grey levels, Uint8Array of 28 * 28, or null if nothing is drawn. */
export function asImage(strokes) {
  if (!strokes.length) return null;
  const pen = PEN * Math.max(...strokes.map(({ width }) => width));
  const { low, high, sides } = boxOf(strokes);
  const scale = (BOX - pen) / Math.max(...sides, DOT);
  const paint = (shift) => {
    const place = (point) =>
      [0, 1].map((axis) => (point[axis] - (low[axis] + high[axis]) / 2) * scale + SIZE / 2 + shift[axis]);
    const ink = new Float32Array(SIZE * SIZE);
    for (const { width, points } of strokes) paintStroke(ink, points.map(place), PEN * width);
    return ink;
  };
  const centred = centreOfMass(paint([0, 0])).map((mass, axis) => {
    const room = (SIZE - sides[axis] * scale - pen) / 2;
    return Math.min(Math.max(MIDDLE - mass, -room), room);
  });
  return Uint8Array.from(paint(centred), (share) => Math.round(255 * share));
}

function boxOf(strokes) {
  const points = strokes.flatMap((stroke) => stroke.points);
  const [low, high] = [Math.min, Math.max].map((bound) =>
    [0, 1].map((axis) => points.map((point) => point[axis]).reduce((a, b) => bound(a, b))),
  );
  return { low, high, sides: [0, 1].map((axis) => high[axis] - low[axis]) };
}

/** Why strokes are not one digit, or "". */
export function remarkOn(strokes) {
  if (!strokes.length) return "";
  const [width, height] = boxOf(strokes).sides;
  if (Math.max(width, height) < DOT) return "Unsure: this is a dot.";
  if (height < FLAT * width) return "Unsure: this is flatter than any digit.";
  const parts = partsOf(strokes, (PEN / BOX) * Math.max(width, height));
  const tall = parts.map(boxOf).filter(({ sides }) => sides[1] > TALL * height);
  tall.sort((one, other) => one.low[0] - other.low[0]);
  const apart = tall.some(({ low, sides }, k) => {
    if (!k) return false;
    const shared = tall[k - 1].high[0] - low[0];
    return shared <= Math.min(sides[0], tall[k - 1].sides[0]) / 2;
  });
  return apart ? "Several things are drawn; the network reads one digit." : "";
}

/** Strokes in groups: those that come closer to each other than `gap` are together. */
function partsOf(strokes, gap) {
  const parts = [];
  for (const stroke of strokes.map((each) => ({ ...each, points: dense(each.points, gap / 2) }))) {
    const near = parts.filter((part) => part.some((other) => areNear(stroke, other, gap)));
    for (const part of near) parts.splice(parts.indexOf(part), 1);
    parts.push([stroke, ...near.flat()]);
  }
  return parts;
}

function areNear(one, other, gap) {
  return one.points.some(([x, y]) =>
    other.points.some(([otherX, otherY]) => Math.hypot(x - otherX, y - otherY) < gap),
  );
}

/** Paint a polyline with round ends; a pixel's ink is the share of it that the pen covers. */
function paintStroke(ink, points, pen) {
  for (let k = 0; k < points.length; k++) {
    const [[x, y], [toX, toY]] = [points[Math.max(k - 1, 0)], points[k]];
    const [alongX, alongY] = [toX - x, toY - y];
    const squared = alongX * alongX + alongY * alongY || 1;
    const reach = pen / 2 + 1;
    for (let row = first(y, toY, reach); row <= last(y, toY, reach); row++) {
      for (let column = first(x, toX, reach); column <= last(x, toX, reach); column++) {
        const [fromX, fromY] = [column + 0.5 - x, row + 0.5 - y];
        const share = Math.min(Math.max((fromX * alongX + fromY * alongY) / squared, 0), 1);
        const distance = Math.hypot(fromX - share * alongX, fromY - share * alongY);
        const covered = Math.min(Math.max(pen / 2 - distance + 0.5, 0), 1);
        const place = row * SIZE + column;
        ink[place] = Math.max(ink[place], covered);
      }
    }
  }
}

const first = (one, other, reach) => Math.max(Math.floor(Math.min(one, other) - reach), 0);
const last = (one, other, reach) => Math.min(Math.ceil(Math.max(one, other) + reach), SIZE - 1);

/** [x, y], in indices of pixels. */
function centreOfMass(ink) {
  let [total, x, y] = [0, 0, 0];
  ink.forEach((share, place) => {
    total += share;
    x += share * (place % SIZE);
    y += share * Math.floor(place / SIZE);
  });
  return [x / total, y / total];
}

/** What is left of strokes where an eraser of this radius went from one point to another. */
export function erased(strokes, from, to, radius) {
  return strokes.flatMap(({ width, points }) => {
    const pieces = [[]];
    for (const point of dense(points, radius / 4)) {
      if (distanceToLine(point, from, to) > radius) pieces.at(-1).push(point);
      else if (pieces.at(-1).length) pieces.push([]);
    }
    return pieces.filter((piece) => piece.length).map((piece) => ({ width, points: piece }));
  });
}

/** The points with others between them, so that none are further apart than `step`. */
function dense(points, step) {
  return points.flatMap(([x, y], k) => {
    if (!k) return [[x, y]];
    const [fromX, fromY] = points[k - 1];
    const parts = Math.max(1, Math.ceil(Math.hypot(x - fromX, y - fromY) / step));
    return Array.from({ length: parts }, (_, part) => {
      const share = (part + 1) / parts;
      return [fromX + share * (x - fromX), fromY + share * (y - fromY)];
    });
  });
}

function distanceToLine([x, y], [fromX, fromY], [toX, toY]) {
  const [alongX, alongY] = [toX - fromX, toY - fromY];
  const squared = alongX * alongX + alongY * alongY || 1;
  const along = ((x - fromX) * alongX + (y - fromY) * alongY) / squared;
  const share = Math.min(Math.max(along, 0), 1);
  return Math.hypot(x - fromX - share * alongX, y - fromY - share * alongY);
}
