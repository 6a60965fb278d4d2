/** A window on the network: images, and what each layer makes of them. */

const MOST_MAPS = 64; // shown of a layer
const NAMES = {
  Conv: "Convolution",
  MaxPool: "Maximum of 2 × 2",
  GlobalAveragePool: "Mean of each map",
  Gemm: "Linear layer",
};

/** Paint square values; colour: gives [red, green, blue], 0 to 255, of a place. */
export function paintPixels(canvas, size, colour) {
  if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
  const image = new ImageData(size, size);
  for (let place = 0; place < size * size; place++) image.data.set([...colour(place), 255], 4 * place);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Paint an image: one level of 0 to 255 for each pixel, or three. */
export function paintLevels(canvas, size, levels) {
  const channels = levels.length / (size * size);
  paintPixels(canvas, size, (place) => [0, 1, 2].map((k) => levels[channels * place + (k % channels)]));
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
