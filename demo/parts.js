/** What is drawn in a picture's ink: digits/handwriting/parts.py again, step by step. */

import { SMALL, threshold } from "./paper.js";
import { clip, crop, map, quantile, roundToEven, transpose } from "./planes.js";

const [RING, SPECK, LONG, THIN] = [0.1, 0.04, 0.7, 0.05]; // the constants are explained there
const [NEAR, OVERLAP, LOW, REACH, ALIKE] = [0.15, 0.3, 0.6, 0.3, 0.5];
const [WIDE, ROUND, SOLID] = [2.5, 1.6, 0.7];

/**
 * Planes of ink of 0 to 1, of one drawing each, with its box: the largest first, then others of its
 * size.
 */
export function drawings(ink, noise) {
  const limit = threshold(ink.values);
  let mask = map(ink, (value) => (value > limit ? 1 : 0));
  if (Math.min(mask.width, mask.height) >= SMALL) {
    mask = eraseLines(mask);
    mask = transpose(eraseLines(transpose(mask)));
  }
  const [labels, boxes] = label(mask);
  if (!boxes.length) throw new Error("nothing is drawn on it but straight lines");
  const groups = groupsOf(boxes, sizesOf(labels, boxes));
  const boxesOf = groups.map((group) => around(group.map((part) => boxes[part])));
  return groups
    .map((group, k) => [group, boxesOf[k]])
    .filter(([, box]) => tall(box) >= ALIKE * tall(boxesOf[0]))
    .map(([group, box]) => ({ ...cutOut(ink, labels, group, box, Math.min(noise, limit)), box }));
}

/** What is not like a digit in the shape of a drawing, or "". */
export function oddity({ values, box }) {
  const [height, width] = [tall(box), box[3] - box[2]];
  if (width > WIDE * height) return "a stroke that lies, not a digit";
  const isCompact = Math.max(width, height) < ROUND * Math.min(width, height);
  const full = values.filter((value) => value >= 0.5).length;
  return isCompact && full > SOLID * width * height ? "a dot, not a digit" : "";
}

/** Without thin rows of ink from side to side, except where something crosses them. */
function eraseLines(mask) {
  const { values, width, height } = mask;
  const ruled = [];
  for (let row = 0; row < height; row++) {
    let [run, longest] = [0, 0];
    for (let column = 0; column < width; column++) {
      run = values[row * width + column] ? run + 1 : 0;
      longest = Math.max(longest, run);
    }
    if (longest >= LONG * width) ruled.push(row);
  }
  const isRuled = new Set(ruled);
  for (const top of ruled.filter((row) => !isRuled.has(row - 1))) {
    let bottom = top + 1;
    while (isRuled.has(bottom)) bottom++;
    if (bottom - top > Math.max(2, Math.trunc(THIN * height))) continue;
    const reach = Math.max(2, bottom - top);
    for (let column = 0; column < width; column++) {
      const isInked = (from, to) => {
        for (let row = from; row < to; row++) if (!values[row * width + column]) return false;
        return to > from;
      };
      if (isInked(Math.max(0, top - reach), top)) continue;
      if (isInked(bottom, Math.min(height, bottom + reach))) continue;
      for (let row = top; row < bottom; row++) values[row * width + column] = 0;
    }
  }
  return mask;
}

/** [labels from 1, boxes] of the parts that touch each other, at corners too. */
function label(mask) {
  const { values, width, height } = mask;
  const labels = new Int32Array(values.length);
  const boxes = [];
  for (let start = 0; start < values.length; start++) {
    if (!values[start] || labels[start]) continue;
    const box = [height, 0, width, 0];
    boxes.push(box);
    labels[start] = boxes.length;
    const waiting = [start];
    while (waiting.length) {
      const place = waiting.pop();
      const [row, column] = [Math.floor(place / width), place % width];
      [box[0], box[1]] = [Math.min(box[0], row), Math.max(box[1], row + 1)];
      [box[2], box[3]] = [Math.min(box[2], column), Math.max(box[3], column + 1)];
      for (let y = Math.max(row - 1, 0); y <= Math.min(row + 1, height - 1); y++) {
        for (let x = Math.max(column - 1, 0); x <= Math.min(column + 1, width - 1); x++) {
          const near = y * width + x;
          if (!values[near] || labels[near]) continue;
          labels[near] = boxes.length;
          waiting.push(near);
        }
      }
    }
  }
  return [{ values: labels, width, height }, boxes];
}

function sizesOf({ values, width, height }, boxes) {
  const [down, right] = [height, width].map((side) => roundToEven(RING * side));
  const [whole, inner] = [0, 1].map(() => new Array(boxes.length + 1).fill(0));
  values.forEach((part, k) => {
    const [row, column] = [Math.floor(k / width), k % width];
    whole[part]++;
    if (row >= down && row < height - down && column >= right && column < width - right) inner[part]++;
  });
  const sizes = boxes.map(([top, bottom, left, end], part) => {
    const touches = top === 0 || left === 0 || bottom === height || end === width;
    return (touches ? inner : whole)[part + 1];
  });
  return sizes.some(Boolean) ? sizes : whole.slice(1);
}

function groupsOf(boxes, sizes) {
  const order = [...boxes.keys()].sort((one, other) => sizes[other] - sizes[one]);
  const waiting = order.filter((part) => sizes[part] >= SPECK * sizes[order[0]] && sizes[part]);
  const groups = [];
  while (waiting.length) {
    const group = [waiting.shift()];
    for (;;) {
      const box = around(group.map((part) => boxes[part]));
      const near = waiting.findIndex((part) => belongs(boxes[part], box));
      if (near < 0) break;
      group.push(...waiting.splice(near, 1));
    }
    groups.push(group);
  }
  return groups;
}

function belongs(part, digit) {
  const near = NEAR * tall(digit);
  const apartY = Math.max(digit[0] - part[1], part[0] - digit[1]);
  const apartX = Math.max(digit[2] - part[3], part[2] - digit[3]);
  const narrower = Math.min(part[3] - part[2], digit[3] - digit[2]);
  if (-apartX >= OVERLAP * narrower && apartY < near) return true;
  return apartX < near && apartY < 0 && tall(part) < LOW * tall(digit);
}

const tall = (box) => box[1] - box[0];
const around = (boxes) =>
  [Math.min, Math.max, Math.min, Math.max].map((bound, k) =>
    boxes.map((box) => box[k]).reduce((one, other) => bound(one, other)),
  );

function cutOut(ink, labels, group, [top, bottom, left, right], noise) {
  const parts = new Set(group.map((part) => part + 1));
  const isOwn = (part) => parts.has(part);
  const box = crop(labels, top, left, bottom - top, right - left);
  const area = box.values.reduce((count, part) => count + isOwn(part), 0);
  const reach = Math.max(1, roundToEven(REACH * Math.sqrt(area)));
  const [first, start] = [Math.max(0, top - reach), Math.max(0, left - reach)];
  const rows = Math.min(ink.height, bottom + reach) - first;
  const columns = Math.min(ink.width, right + reach) - start;
  const [place, levels] = [labels, ink].map((plane) => crop(plane, first, start, rows, columns));
  const own = map(place, (part) => (isOwn(part) ? 1 : 0));
  const others = map(place, (part) => (part && !isOwn(part) ? 1 : 0));
  const [near, beside] = [dilated(own, reach), dilated(others, 1)];
  const strongest = quantile(levels.values.filter((_, k) => own.values[k]), 0.9);
  return map(levels, (level, _row, _column, k) => {
    const isNear = near.values[k] && (own.values[k] || !beside.values[k]);
    return isNear ? clip((level - noise) / (strongest - noise), 0, 1) : 0;
  });
}

/** Ones wherever a one is at most `reach` rows and columns away. */
function dilated(mask, reach) {
  const along = (rows) => {
    let [row, last] = [-1, -Infinity];
    const before = map(rows, (value, y, x) => {
      if (y !== row) [row, last] = [y, -Infinity];
      if (value) last = x;
      return x - last;
    });
    const result = map(rows, () => 0);
    for (let y = 0; y < rows.height; y++) {
      for (let x = rows.width - 1, next = Infinity; x >= 0; x--) {
        const k = y * rows.width + x;
        if (rows.values[k]) next = x;
        result.values[k] = before.values[k] <= reach || next - x <= reach ? 1 : 0;
      }
    }
    return result;
  };
  return transpose(along(transpose(along(mask))));
}
