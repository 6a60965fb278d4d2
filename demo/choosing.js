/** What a page is given to read: picture files, and the test set's examples. */

import { aClass } from "./answer.js";
import { paintLevels } from "./layers.js";
import { fetchJson } from "./network.js";

/** Call `offer` with each file that is chosen, photographed, pasted or dropped. */
export function listenForPictures(offer) {
  for (const name of ["file", "photo"]) {
    document.getElementById(name).addEventListener("change", ({ target }) => {
      if (target.files[0]) offer(target.files[0]);
      target.value = ""; // the same file may be chosen again
    });
  }
  const offerFirst = ({ files }) => files[0] && offer(files[0]);
  document.addEventListener("paste", ({ clipboardData }) => offerFirst(clipboardData));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault(); // or the browser leaves the page for the picture
    offerFirst(event.dataTransfer);
  });
}

/**
 * The examples as radio buttons: arrow keys go from one to the next.
 *
 * Calls `choose` with an example, {label, pixels}, and gives a map of examples to their buttons.
 */
export async function offerExamples(fieldset, { size, classes }, choose) {
  const choices = new Map();
  for (const { name, images } of await fetchJson("examples.json")) {
    const row = document.createElement("div");
    row.className = "row";
    const title = document.createElement("p");
    title.textContent = name;
    row.append(title);
    for (const { label, pixels } of images) {
      const example = { label, pixels: Uint8Array.from(atob(pixels), (sign) => sign.charCodeAt(0)) };
      const frame = document.createElement("label");
      const [choice, image, caption] = ["input", "canvas", "span"].map((kind) =>
        document.createElement(kind),
      );
      const words = `${aClass(classes[label])}, ${name.toLowerCase()}`;
      choice.type = "radio";
      choice.name = "example";
      choice.setAttribute("aria-label", words[0].toUpperCase() + words.slice(1));
      choice.addEventListener("change", () => choose(example));
      paintLevels(image, size, example.pixels);
      frame.title = caption.textContent = classes[label];
      caption.dir = "auto";
      frame.append(choice, image, caption);
      row.append(frame);
      choices.set(example, choice);
    }
    fieldset.append(row);
  }
  return choices;
}
