/** Ink told from paper: digits/handwriting/paper.py again, step by step. */

import { BILINEAR, BOX, highest, lowest, map, medians, quantile, resize, roundToEven } from "./planes.js";

const FAINT = 16 / 255; // the constants are explained there
export const SMALL = 40;
const [NOISE, MEDIAN] = [3, 0.954];
const [TWO_LEVELS, END, LARGE] = [0.84, 0.15, 0.3];
const [GRID, STEPS, BETTER] = [64, 15, 0.5];
const [BLOCKS, WINDOW] = [56, 0.35];

/** [ink, noise]: how far each pixel is from the paper, and what of it is noise. */
export function inkOf(grey) {
  const [paper, isDark] = paperOf(grey);
  const apart = map(grey, (level, _row, _column, k) =>
    isDark ? paper.values[k] - level : level - paper.values[k],
  );
  const noise = Math.min(grey.width, grey.height) < SMALL ? 0 : noiseOf(grey);
  if (highest(apart.values) < Math.max(FAINT, 2 * noise)) {
    throw new Error("nothing is drawn on it: no part of it stands out from the paper");
  }
  return [map(apart, (value) => Math.max(value, 0)), noise];
}

function paperOf(grey) {
  const [level, isDark] = twoLevels(grey);
  if (level !== null) return [map(grey, () => level), isDark];
  const median = quantile(grey.values, 0.5);
  let best = map(grey, () => median);
  for (const paper of [planeOf(grey), surroundings(grey)]) {
    if (rest(grey, paper) < BETTER * rest(grey, best) - 0.005) best = paper;
  }
  let skewness = 0;
  grey.values.forEach((value, k) => (skewness += (value - best.values[k]) ** 3));
  return [best, skewness < 0];
}

/** Otsu's threshold of levels of 0 and more. */
export function threshold(values) {
  const top = highest(values);
  const counts = new Float64Array(256);
  for (const value of values) counts[Math.min(Math.floor((value / top) * 256), 255)]++;
  const moment = (k) => (counts[k] * (k + 0.5) * top) / 256;
  const all = counts.reduce((sum, _, k) => sum + moment(k), 0);
  let [below, sum, best, place] = [0, 0, -1, 0];
  for (let k = 0; k < 255; k++) {
    [below, sum] = [below + counts[k], sum + moment(k)];
    const weight = below * (values.length - below);
    const between = weight > 0 ? ((all * below) / values.length - sum) ** 2 / weight : 0;
    if (between > best) [best, place] = [between, k];
  }
  return ((place + 1) * top) / 256;
}

/** [level of even paper or null, whether ink is darker]. */
function twoLevels({ values, width, height }) {
  const low = lowest(values);
  if (highest(values) === low) return [low, true];
  const limit = Math.fround(low + threshold(values.map((value) => value - low)));
  const isDark = (k) => values[k] <= limit;
  const parts = [values.filter((_, k) => isDark(k)), values.filter((_, k) => !isDark(k))];
  const levels = parts.map((part) => quantile(part, 0.5));
  const mean = (part) => part.reduce((sum, value) => sum + value, 0) / part.length;
  let share = parts[0].length / values.length;
  const whole = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - whole) ** 2, 0) / values.length;
  const explained = (share * (1 - share) * (mean(parts[1]) - mean(parts[0])) ** 2) / variance;
  const [first, last] = [0.01, 0.99].map((part) => quantile(values, part));
  const isEnd = Math.max(levels[0] - first, last - levels[1]) < END * (last - first);
  if (share > LARGE && share < 1 - LARGE) {
    const border = [...values.keys()].filter((k) => {
      const [row, column] = [Math.floor(k / width), k % width];
      return row === 0 || row === height - 1 || column === 0 || column === width - 1;
    });
    share = border.filter(isDark).length / border.length;
  }
  const isEven = Math.min(width, height) < SMALL || (explained > TWO_LEVELS && isEnd);
  return [isEven ? levels[share <= 0.5 ? 1 : 0] : null, share <= 0.5];
}

/** The plane of least absolute deviations, by iteratively reweighted least squares. */
function planeOf(grey) {
  const axis = (side) => (k) => (2 * k) / (side - 1) - 1;
  const [down, right] = [axis(grey.height), axis(grey.width)];
  const samples = (side) => {
    const count = Math.min(side, GRID);
    return Array.from({ length: count }, (_, k) => roundToEven((k * (side - 1)) / (count - 1)));
  };
  const columns = samples(grey.width);
  const places = samples(grey.height).flatMap((row) =>
    columns.map((column) => [1, down(row), right(column), grey.values[row * grey.width + column]]),
  );
  let plane = [quantile(places.map((place) => place[3]), 0.5), 0, 0];
  for (let step = 0; step < STEPS; step++) {
    const sums = [0, 1, 2].map(() => [0, 0, 0, 0]);
    for (const place of places) {
      const [, y, x, level] = place;
      const left = Math.max(Math.abs(level - plane[0] - plane[1] * y - plane[2] * x), 1e-3);
      for (let i = 0; i < 3; i++) for (let j = 0; j < 4; j++) sums[i][j] += (place[i] * place[j]) / left;
    }
    plane = solve(sums);
  }
  return map(grey, (_, row, column) => plane[0] + plane[1] * down(row) + plane[2] * right(column));
}

function solve(sums) {
  for (let i = 0; i < 3; i++) {
    for (let row = 0; row < 3; row++) {
      if (row === i) continue;
      const share = sums[row][i] / sums[i][i];
      for (let j = i; j < 4; j++) sums[row][j] -= share * sums[i][j];
    }
  }
  return sums.map((row, i) => row[3] / row[i]);
}

/** The median of a window around each place, taken on blocks of pixels. */
function surroundings(grey) {
  const block = Math.max(1, roundToEven(Math.sqrt(grey.values.length) / BLOCKS));
  const [width, height] = [grey.width, grey.height].map((side) => Math.max(1, Math.floor(side / block)));
  const blocks = resize(grey, width, height, BOX);
  const window = Math.trunc(Math.max(3, Math.min(WINDOW * Math.sqrt(width * height), width, height))) | 1;
  return resize(medians(blocks, window), grey.width, grey.height, BILINEAR);
}

function noiseOf({ values, width }) {
  const steps = [];
  for (let k = 1; k < values.length; k++) if (k % width) steps.push(Math.abs(values[k] - values[k - 1]));
  return (NOISE * quantile(steps, 0.5)) / MEDIAN;
}

const rest = (grey, paper) => quantile(grey.values.map((value, k) => Math.abs(value - paper.values[k])), 0.75);
