/** What the network's answer to a drawing rests on. */

import { paintPixels } from "./layers.js";
import { SIZE } from "./mnist_form.js";

const PATCH = 5; // pixels, the side of the paper that is laid on the image
const STEP = 2; // pixels, from one place to the next
const SLICE = 8; // milliseconds that it may take before strokes get a turn

/**
 * How much each pixel speaks for a digit, Float32Array of 28 * 28; null if it was interrupted.
 *
 * A square of paper is laid on the image, place after place. A pixel's value is by how much the
 * squares on it lower the digit's log odds, on average; where there is no ink, that is 0.
 */
export async function evidence(network, levels, digit, isOutdated) {
  const [sums, counts] = [new Float32Array(SIZE * SIZE), new Float32Array(SIZE * SIZE)];
  const before = logOdds(network.logits(levels), digit);
  let start = performance.now();
  for (let top = 1 - PATCH; top < SIZE; top += STEP) {
    for (let left = 1 - PATCH; left < SIZE; left += STEP) {
      const covered = placesOf(top, left);
      if (covered.some((place) => levels[place])) {
        const changed = Uint8Array.from(levels);
        for (const place of covered) changed[place] = 0;
        const drop = before - logOdds(network.logits(changed), digit);
        for (const place of covered) sums[place] += drop;
      }
      for (const place of covered) counts[place]++;
      if (performance.now() - start > SLICE) {
        await new Promise((resolve) => setTimeout(resolve));
        start = performance.now();
        if (isOutdated()) return null;
      }
    }
  }
  return sums.map((sum, place) => sum / counts[place]);
}

function placesOf(top, left) {
  const places = [];
  for (let row = Math.max(top, 0); row < Math.min(top + PATCH, SIZE); row++) {
    for (let column = Math.max(left, 0); column < Math.min(left + PATCH, SIZE); column++) {
      places.push(row * SIZE + column);
    }
  }
  return places;
}

/** The logarithm of a digit's probability over that of all others together. */
function logOdds(logits, digit) {
  const others = Array.from(logits).filter((_, place) => place !== digit);
  const highest = Math.max(...others);
  const total = others.reduce((sum, logit) => sum + Math.exp(logit - highest), 0);
  return logits[digit] - highest - Math.log(total);
}

/** Paint evidence on the image: blue speaks for the digit, orange against it. */
export function paintEvidence(canvas, levels, values) {
  const highest = values?.reduce((one, other) => Math.max(one, Math.abs(other)), 1e-6);
  paintPixels(canvas, SIZE, (place) => {
    const ink = levels ? 0.45 * levels[place] : 0;
    const value = values ? values[place] / highest : 0;
    const tint = value > 0 ? [40, 150, 255] : [255, 140, 0];
    return tint.map((each) => ink * (1 - Math.abs(value)) + each * Math.abs(value));
  });
}
