/** A picture file of the user's, opened by the browser, which turns it upright. */

const PIXELS = 50e6; // a larger picture is refused

/**
 * {picture, image}: what a canvas can draw, and its pixels as ImageData. What is transparent shows
 * the paper, if it has a colour.
 *
 * Rejects with a message if it cannot be read.
 */
export async function open(file, paper = "") {
  let picture;
  try {
    picture = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(
      /\.hei[cf]$/i.test(file.name)
        ? "this browser does not read HEIC; save it as JPEG or PNG"
        : "not a picture in a format that this browser reads",
    );
  }
  const { width, height } = picture;
  if (width * height > PIXELS) throw new Error(`too large: ${width} by ${height} pixels`);
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (paper) {
    context.fillStyle = paper;
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(picture, 0, 0);
  return { picture, image: context.getImageData(0, 0, width, height) };
}

/** The grey level of a pixel, by the formula of ITU-R 601-2 in Pillow's integers. */
export function greyLevel({ data }, place) {
  const [red, green, blue] = [data[4 * place], data[4 * place + 1], data[4 * place + 2]];
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}
