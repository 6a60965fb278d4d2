/** A window on the network: what each layer makes of a drawing, and what its answer rests on. */

import { SIZE } from "./network.js";

const PATCH = 5; // pixels, the side of the paper that is laid on the image
const STEP = 2; // pixels, from one place to the next
const SLICE = 8; // milliseconds that it may take before strokes get a turn
const MOST_MAPS = 64; // shown of a layer
const NAMES = {
  Conv: "Convolution",
  MaxPool: "Maximum of 2 × 2",
  GlobalAveragePool: "Mean of each map",
  Gemm: "Linear layer",
};

/** Paint 28x28 or other square values; colour: gives [red, green, blue], 0 to 255, of a place. */
export function paintPixels(canvas, size, colour) {
  if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
  const image = new ImageData(size, size);
  for (let place = 0; place < size * size; place++) image.data.set([...colour(place), 255], 4 * place);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Rows of maps for all layers but the last, whose logits the bars show. */
export class Layers {
  #rows = [];
  #parent;

  constructor(parent) {
    this.#parent = parent;
  }

  /** features: what Network.features gives. */
  show(operations, features) {
    const shown = features.map((each, k) => ({ ...each, operator: operations[k].operator }));
    const layers = shown.slice(0, -1).filter(({ operator }) => operator !== "Flatten");
    if (!this.#rows.length) this.#rows = layers.map((layer) => this.#row(layer));
    layers.forEach(({ values, size }, k) => {
      const highest = values.reduce((one, other) => Math.max(one, other), 0) || 1;
      this.#rows[k].forEach((canvas, map) => {
        const levels = values.subarray(map * size * size, (map + 1) * size * size);
        paintPixels(canvas, size, (place) => glow(levels[place] / highest));
      });
    });
  }

  #row({ operator, channels, size }) {
    const row = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const maps = document.createElement("div");
    const count = Math.min(channels, MOST_MAPS);
    const shape = size > 1 ? `${channels} maps of ${size} × ${size}` : `${channels} values`;
    const about = `${NAMES[operator] ?? operator}: ${shape}`;
    caption.textContent = count < channels ? `${about}, the first ${count} of them` : about;
    maps.className = size > 1 ? "maps" : "maps values";
    maps.setAttribute("role", "img");
    maps.setAttribute("aria-label", about);
    maps.append(...Array.from({ length: count }, () => document.createElement("canvas")));
    row.append(caption, maps);
    this.#parent.append(row);
    return [...maps.children];
  }
}

/** From black over blue to white. */
function glow(share) {
  const value = Math.max(share, 0);
  return [255 * value ** 2, 255 * value ** 1.2, 255 * value ** 0.6];
}

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
