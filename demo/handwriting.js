/**
 * A drawing brought to the form of MNIST: digits/export/mnist_form.py again, in JavaScript,
 * step by step and with its rounding, so that both give the same bytes (tests/browser/test_demo.py).
 */

export const SIZE = 28;
const BOX = 20; // pixels, of the digit in the picture
const MIDDLE = 14; // index of the pixel on which MNIST's centres of mass round
const INK = Math.fround(0.15); // share of the full contrast from which a pixel is the digit's
const FAINT = 16 / 255; // contrast below which there is nothing to read

/**
 * Grey levels, Uint8Array of 28 * 28, or null if nothing is drawn.
 *
 * levels: ink, 0 (paper) to 255, row by row; what lies outside is paper.
 */
export function asMnist(levels, width, height) {
  const ink = inkOf(levels);
  return ink && centre(fit(ink, width, height));
}

function inkOf(levels) {
  let highest = 0;
  for (let place = 0; place < levels.length; place++) highest = Math.max(highest, levels[place]);
  const contrast = Math.fround(highest / 255);
  if (contrast < FAINT) return null;
  const shares = new Float32Array(256).map((_, level) => Math.fround(level / 255) / contrast);
  const ink = new Float32Array(levels.length);
  for (let place = 0; place < levels.length; place++) ink[place] = shares[levels[place]];
  return ink;
}

/** The digit scaled so that its longer side has 20 pixels, its strongest ink 1. */
function fit(ink, width, height) {
  const { top, left, bottom, right } = bounds(ink, width, height);
  const longer = Math.max(bottom - top, right - left) + 1;
  const edge = roundToEven(longer / BOX);
  let digit = crop(ink, width, height, top - edge, left - edge, bottom + edge, right + edge);
  if (longer !== BOX) {
    const [rows, columns] = [digit.height, digit.width].map((side) =>
      Math.max(1, roundToEven((side * BOX) / longer)),
    );
    digit = resizeRows(transpose(resizeRows(digit, columns)), rows);
    digit = transpose(digit);
  }
  const clipped = digit.values.map((value) => Math.max(value, 0));
  const strongest = clipped.reduce((one, other) => Math.max(one, other));
  return { ...digit, values: clipped.map((value) => value / strongest) };
}

function bounds(ink, width, height) {
  let [top, left, bottom, right] = [height, width, -1, -1];
  for (let row = 0, place = 0; row < height; row++) {
    for (let column = 0; column < width; column++, place++) {
      if (ink[place] <= INK) continue;
      if (row < top) top = row;
      if (column < left) left = column;
      if (column > right) right = column;
      bottom = row;
    }
  }
  return { top, left, bottom, right };
}

/** A part of the picture, the last row and column included, with paper where it leaves it. */
function crop(ink, width, height, top, left, bottom, right) {
  const part = { width: right - left + 1, height: bottom - top + 1 };
  part.values = new Float32Array(part.width * part.height);
  for (let row = Math.max(top, 0); row <= Math.min(bottom, height - 1); row++) {
    const [from, to] = [Math.max(left, 0), Math.min(right, width - 1)];
    const line = ink.subarray(row * width + from, row * width + to + 1);
    part.values.set(line, (row - top) * part.width + from - left);
  }
  return part;
}

/** Every row resized to `width` by the bicubic filter, as Pillow does. */
function resizeRows({ values, width: before, height }, width) {
  if (width === before) return { values, width, height };
  const resized = new Float32Array(width * height);
  const scale = before / width;
  const stretch = Math.max(scale, 1);
  for (let column = 0; column < width; column++) {
    const middle = (column + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - 2 * stretch + 0.5));
    const last = Math.min(before, Math.trunc(middle + 2 * stretch + 0.5));
    const weights = [];
    for (let place = first; place < last; place++) {
      weights.push(bicubic((place - middle + 0.5) * (1 / stretch)));
    }
    const total = weights.reduce((one, other) => one + other, 0);
    for (let row = 0; row < height; row++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) {
        sum += values[row * before + first + k] * (weights[k] / total);
      }
      resized[row * width + column] = sum;
    }
  }
  return { values: resized, width, height };
}

function bicubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

function transpose({ values, width, height }) {
  const turned = new Float32Array(values.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      turned[column * height + row] = values[row * width + column];
    }
  }
  return { values: turned, width: height, height: width };
}

/** The digit in 28x28, moved by whole pixels so that its centre of mass is in the middle. */
function centre({ values, width, height }) {
  const rows = new Float32Array(height);
  const columns = new Float32Array(width);
  for (let row = 0; row < height; row++) {
    const line = values.subarray(row * width, (row + 1) * width);
    rows[row] = sumAsNumpy(line, Math.fround);
    for (let column = 0; column < width; column++) columns[column] += line[column];
  }
  const [top, left] = [rows, columns].map((sums) => {
    const start = roundToEven(MIDDLE - centreOfMass(sums));
    return Math.min(Math.max(start, 0), SIZE - sums.length);
  });
  const placed = new Uint8Array(SIZE * SIZE);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const level = roundToEven(Math.fround(255 * values[row * width + column]));
      placed[(top + row) * SIZE + left + column] = level;
    }
  }
  return placed;
}

function centreOfMass(weights) {
  const moments = Array.from(weights, (weight, place) => place * weight);
  return sumAsNumpy(moments, (value) => value) / sumAsNumpy(weights, Math.fround);
}

/** A sum in NumPy's order, eight at a time: a digit like 0 can be symmetric to the last bit. */
function sumAsNumpy(values, round) {
  const whole = values.length - (values.length % 8);
  let sum = 0;
  if (whole) {
    const lanes = Array.from(values.slice(0, 8));
    for (let k = 8; k < whole; k++) lanes[k % 8] = round(lanes[k % 8] + values[k]);
    const [a, b, c, d] = [0, 2, 4, 6].map((k) => round(lanes[k] + lanes[k + 1]));
    sum = round(round(a + b) + round(c + d));
  }
  for (let k = whole; k < values.length; k++) sum = round(sum + values[k]);
  return sum;
}

/** Halves go to the even neighbour, as in Python. */
function roundToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}
