/** A digit's ink brought to MNIST's form: digits/handwriting/mnist_form.py again, step by step. */

import { BICUBIC, blur, clip, crop, highest, map, quantile, resize, roundToEven } from "./planes.js";

export const SIZE = 28; // pixels, of an image
const [BOX, ENLARGED, MIDDLE, MARGIN, ALMOST] = [20, 19, 14, 2, 0.6]; // explained there
const [INKED, FULL, SOFT, SHARP, THIN, STRONG, CRISP] = [0.1, 0.9, 0.77, 0.62, 0.5, 0.67, 0.7];
const [BLUR, MOST, STEPS] = [1.5, 6, 8];

/** Grey levels, Uint8Array of 28 * 28, of a plane of ink, 0 to 1. */
export function mnistForm(ink) {
  return centre(fit(ink));
}

function fit(ink) {
  const { values, width, height } = ink;
  const rows = Array.from({ length: height }, (_, y) => highest(values.subarray(y * width, (y + 1) * width)));
  const columns = new Array(width).fill(0);
  values.forEach((value, k) => (columns[k % width] = Math.max(columns[k % width], value)));
  const [[top, bottom], [left, right]] = [ends(rows), ends(columns)];
  const longer = Math.max(bottom - top, right - left);
  if (Math.abs(longer - BOX) < ALMOST) {
    const slice = (start, end) => [Math.floor(start + 0.3) + 1, Math.ceil(end - 0.3) + 1 + 2 * MARGIN];
    const [[first, last], [from, to]] = [slice(top, bottom), slice(left, right)];
    return crop(ink, first - 1 - MARGIN, from - 1 - MARGIN, last - first, to - from);
  }
  const scale = (longer > BOX ? BOX : ENLARGED) / longer;
  const size = [right - left, bottom - top].map(
    (side) => Math.max(1, roundToEven(side * scale)) + 2 * MARGIN,
  );
  const border = Math.ceil((MARGIN + 1) / scale) + 2;
  const [x, y] = [border + (left + right) / 2, border + (top + bottom) / 2];
  const [across, down] = size.map((side) => side / scale / 2);
  const padded = crop(ink, -border, -border, height + 2 * border, width + 2 * border);
  const scaled = resize(padded, ...size, BICUBIC, [x - across, y - down, x + across, y + down]);
  const inked = values.filter((value) => value > INKED);
  const isBlurred = inked.filter((value) => value < FULL).length > SOFT * inked.length;
  return strengthen(map(scaled, (value) => clip(value, 0, 1)), longer < BOX, isBlurred);
}

/** Where a row of levels first rises above a half, and last falls below. */
function ends(profile) {
  const levels = [0, ...profile, 0];
  const first = levels.findIndex((level) => level >= 0.5);
  const last = levels.findLastIndex((level) => level >= 0.5);
  const [before, after] = [levels[first - 1], levels[last + 1]];
  return [
    first - 1.5 + (0.5 - before) / (levels[first] - before),
    last - 0.5 + (levels[last] - 0.5) / (levels[last] - after),
  ];
}

function strengthen(scaled, isEnlarged, isBlurred) {
  const digit = normalised(scaled, 0.95);
  const level = meanInk(digit);
  const isThin = isEnlarged || level < THIN;
  if (level >= SHARP || !(isThin || isBlurred)) return digit;
  const soft = blur(digit, BLUR);
  const changed = (amount) =>
    isThin
      ? map(digit, (value) => clip(value * (1 + amount), 0, 1))
      : normalised(
          map(digit, (value, _row, _column, k) => Math.max(value + amount * (value - soft.values[k]), 0)),
          0.9,
        );
  let [low, high] = [0, MOST];
  for (let step = 0; step < STEPS; step++) {
    const middle = (low + high) / 2;
    if (meanInk(changed(middle)) >= (isThin ? STRONG : CRISP)) high = middle;
    else low = middle;
  }
  return changed(high);
}

function normalised(digit, share) {
  const least = INKED * highest(digit.values);
  const strongest = quantile(digit.values.filter((value) => value > least), share);
  return map(digit, (value) => clip(value / strongest, 0, 1));
}

function meanInk({ values }) {
  const inked = values.filter((value) => value > INKED);
  return inked.reduce((sum, value) => sum + value, 0) / inked.length;
}

/**
 * The digit in 28x28, moved by whole pixels so that its centre of mass is in the middle. Only its
 * margin may be cut off.
 */
function centre(digit) {
  const { values, width, height } = digit;
  let [total, down, across] = [0, 0, 0];
  values.forEach((value, place) => {
    total += value;
    down += value * Math.floor(place / width);
    across += value * (place % width);
  });
  const [top, left] = [[down, height], [across, width]].map(([moment, side]) =>
    clip(roundToEven(MIDDLE - moment / total), -MARGIN, SIZE - side + MARGIN),
  );
  const placed = crop(digit, -top, -left, SIZE, SIZE).values;
  return Uint8Array.from(placed, (value) => roundToEven(255 * value));
}
