/** Planes of numbers, {values: Float32Array, width, height}, row by row, as NumPy, SciPy and Pillow treat them. */

export const BOX = { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
export const BILINEAR = { support: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) };
export const BICUBIC = {
  support: 2,
  weight(distance) {
    const x = Math.abs(distance);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
  },
};
const sinc = (x) => (x ? Math.sin(Math.PI * x) / (Math.PI * x) : 1);
export const LANCZOS = { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) };

const EXACT = { weight: (share) => share, sum: (value) => value };
/** How Pillow rounds where it resizes pixels of eight bits: weights to 22 bits, each pass to pixels. */
export const BYTES = {
  weight: (share) => Math.round(share * 2 ** 22) / 2 ** 22,
  sum: (value) => clip(Math.floor(value + 0.5), 0, 255),
};

/** The plane with other values: `change` gets a value, its row and its column. */
export function map({ values, width, height }, change) {
  const changed = new Float32Array(values.length);
  for (let row = 0, place = 0; row < height; row++) {
    for (let column = 0; column < width; column++, place++) {
      changed[place] = change(values[place], row, column, place);
    }
  }
  return { values: changed, width, height };
}

/** A part of a plane, with zeros where it leaves it. */
export function crop({ values, width, height }, top, left, rows, columns) {
  const part = new Float32Array(rows * columns);
  const [from, to] = [Math.max(left, 0), Math.min(left + columns, width)];
  for (let row = Math.max(top, 0); row < Math.min(top + rows, height) && from < to; row++) {
    const line = values.subarray(row * width + from, row * width + to);
    part.set(line, (row - top) * columns + from - left);
  }
  return { values: part, width: columns, height: rows };
}

/** A box of the plane, [left, top, right, bottom] in pixels, or all of it, resized with a filter. */
export function resize(plane, width, height, filter, box, rounding = EXACT) {
  const [left, top, right, bottom] = box ?? [0, 0, plane.width, plane.height];
  const across = (each) => resizeRows(each, width, filter, left, right, rounding);
  const down = (each) => transpose(resizeRows(transpose(each), height, filter, top, bottom, rounding));
  // the order of Pillow 13, which matters where each pass is rounded
  const isTall = plane.height - height > 2 * Math.max(plane.width - width, 0);
  return isTall ? across(down(plane)) : down(across(plane));
}

function resizeRows({ values, width: before, height }, width, { support, weight }, from, to, rounding) {
  const resized = new Float32Array(width * height);
  const scale = (to - from) / width;
  const stretch = Math.max(scale, 1);
  for (let column = 0; column < width; column++) {
    const middle = from + (column + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - support * stretch + 0.5));
    const last = Math.min(before, Math.trunc(middle + support * stretch + 0.5));
    const weights = [];
    for (let k = first; k < last; k++) weights.push(weight((k - middle + 0.5) * (1 / stretch)));
    const total = weights.reduce((one, other) => one + other, 0);
    const shares = weights.map((each) => rounding.weight(each / total));
    for (let row = 0; row < height; row++) {
      let sum = 0;
      for (let k = 0; k < shares.length; k++) sum += values[row * before + first + k] * shares[k];
      resized[row * width + column] = rounding.sum(sum);
    }
  }
  return { values: resized, width, height };
}

export function transpose({ values, width, height }) {
  const turned = new values.constructor(values.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      turned[column * height + row] = values[row * width + column];
    }
  }
  return { values: turned, width: height, height: width };
}

/** Blurred by a Gaussian, with zeros around the plane. */
export function blur(plane, deviation) {
  const reach = Math.trunc(4 * deviation + 0.5);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-0.5 * ((k - reach) / deviation) ** 2),
  );
  const total = weights.reduce((one, other) => one + other, 0);
  const along = (rows) =>
    map(rows, (_, row, column) => {
      let sum = 0;
      for (let k = Math.max(-reach, -column); k <= Math.min(reach, rows.width - 1 - column); k++) {
        sum += (weights[k + reach] / total) * rows.values[row * rows.width + column + k];
      }
      return sum;
    });
  return transpose(along(transpose(along(plane))));
}

/** The median of a window around each place; beyond the edge, its pixels go on. */
export function medians({ values, width, height }, window) {
  const reach = (window - 1) / 2;
  const inside = new Float32Array(window * window);
  return map({ values, width, height }, (_, row, column) => {
    let count = 0;
    for (let y = row - reach; y <= row + reach; y++) {
      const line = Math.min(Math.max(y, 0), height - 1) * width;
      for (let x = column - reach; x <= column + reach; x++) {
        inside[count++] = values[line + Math.min(Math.max(x, 0), width - 1)];
      }
    }
    return inside.sort()[(count - 1) / 2];
  });
}

export function quantile(values, share) {
  const sorted = Float32Array.from(values).sort();
  const place = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below + (place - Math.floor(place)) * (above - below);
}

export const highest = (values) => values.reduce((one, other) => Math.max(one, other), -Infinity);
export const lowest = (values) => values.reduce((one, other) => Math.min(one, other), Infinity);
export const clip = (value, low, high) => Math.min(Math.max(value, low), high);

/** Halves go to the even neighbour, as in Python. */
export function roundToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}
