/** A picture brought to the form that the network reads: digits/pictures/fitting.py again. */

import { greyLevel } from "./opening.js";
import { BYTES, LANCZOS, clip, map, resize, roundToEven } from "./planes.js";

/** Uint8Array of size * size * channels; image: ImageData with nothing transparent. */
export function fitted(image, { size, channels, fit }) {
  const level = channels === 3 ? colourLevel : greyLevel;
  const fits = new Uint8Array(size * size * channels);
  for (let channel = 0; channel < channels; channel++) {
    const { width, height } = image;
    const values = new Uint8Array(width * height);
    for (let place = 0; place < values.length; place++) values[place] = level(image, place, channel);
    FITS[fit]({ values, width, height }, size).values.forEach((value, place) => {
      fits[channels * place + channel] = value;
    });
  }
  return fits;
}

const colourLevel = ({ data }, place, channel) => data[4 * place + channel];

const FITS = {
  stretch: (plane, size) => resize(plane, size, size, LANCZOS, null, BYTES),

  crop(plane, size) {
    const { width, height } = plane;
    const side = Math.min(width, height);
    const [left, top] = [(width - side) / 2, (height - side) / 2];
    return resize(plane, size, size, LANCZOS, [left, top, left + side, top + side], BYTES);
  },

  pad(plane, size) {
    const longer = Math.max(plane.width, plane.height);
    const [width, height] = [plane.width, plane.height].map((side) =>
      Math.max(1, roundToEven((side * size) / longer)),
    );
    const { values } = resize(plane, width, height, LANCZOS, null, BYTES);
    const [left, top] = [width, height].map((side) => Math.floor((size - side) / 2));
    const square = { values: new Float32Array(size * size), width: size, height: size };
    return map(square, (_, row, column) => {
      const [y, x] = [clip(row - top, 0, height - 1), clip(column - left, 0, width - 1)];
      return values[y * width + x];
    });
  },
};
