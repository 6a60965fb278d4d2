/** A picture file of the user's, brought to MNIST's form. */

import { mnistForm } from "./mnist_form.js";
import { greyLevel, open } from "./opening.js";
import { inkOf } from "./paper.js";
import { drawings, oddity } from "./parts.js";
import { BOX, quantile, resize, roundToEven } from "./planes.js";

const AREA = 1e6; // pixels; a larger picture is scaled down to as many
const SEEN = 128; // opacity from which a pixel is seen
const TWO_TONED = 64; // levels between a transparent picture's paper and ink, if both are in it

/**
 * {pixels, picture, remark}: grey levels, Uint8Array of 28 * 28; the picture itself; what is to be
 * said about it, or "".
 *
 * Rejects with a message if it cannot be read.
 */
export async function readPicture(file) {
  const { picture, image } = await open(file);
  const drawn = drawings(...inkOf(greyLevels(image)));
  const odd = oddity(drawn[0]);
  const several = drawn.length > 1 ? "Several things are drawn; the network reads one digit." : "";
  const remark = odd ? `Unsure: this is ${odd}.` : several;
  return { pixels: mnistForm(drawn[0]), picture, remark };
}

/** Grey levels of 0 to 1: grey_levels of digits/handwriting/picture_file.py again. */
function greyLevels(image) {
  const { data, width, height } = image;
  const values = new Float32Array(width * height);
  const seen = [];
  for (let k = 0; k < values.length; k++) values[k] = greyLevel(image, k);
  const isTransparent = values.some((_, k) => data[4 * k + 3] < 255);
  if (isTransparent) {
    values.forEach((level, k) => data[4 * k + 3] >= SEEN && seen.push(level));
    let paper = 255;
    if (seen.length) {
      const [darkest, middle, brightest] = [0.02, 0.5, 0.98].map((share) => quantile(seen, share));
      paper = brightest - darkest > TWO_TONED ? Math.trunc(middle) : middle < SEEN ? 255 : 0;
    }
    values.forEach((level, k) => {
      const opacity = data[4 * k + 3] / 255;
      values[k] = Math.round(level * opacity + paper * (1 - opacity));
    });
  }
  let grey = { values, width, height };
  const factor = Math.sqrt(values.length / AREA);
  if (factor > 1) {
    const sides = [width, height].map((side) => Math.max(1, roundToEven(side / factor)));
    grey = resize(grey, ...sides, BOX);
  }
  return { ...grey, values: grey.values.map((level) => roundToEven(level) / 255) };
}
