/** The page: pad, pictures and examples go in; the digit, its bars and what it rests on come out. */

import { Drawing } from "./drawing.js";
import { Layers, evidence, paintEvidence, paintPixels } from "./layers.js";
import { Network, SIZE, fetchJson } from "./network.js";
import { listen, paint } from "./pad.js";
import { readPicture } from "./picture.js";
import { asImage, remarkOn } from "./strokes.js";

const element = (id) => document.getElementById(id);
const [seen, rests, result, sentence] = ["seen", "rests", "result", "sentence"].map(element);
const drawing = new Drawing();
const layers = new Layers(element("maps"));
const choices = new Map(); // example -> its radio button
const bars = Array.from({ length: 10 }, (_, digit) => bar(digit));
const invitation = "Draw a digit from 0 to 9, choose one below, or paste, drop or choose a picture.";

const SURE = 0.97; // probability below which the network is unsure, as in digits/predict.py

let network = null;
let failure = ""; // why there is no network
let notice = ""; // what went wrong with a picture, until the pad changes
let settled = true; // no stroke is under way, so the sentence may be announced
let frame = 0;
let readings = 0;

function bar(digit) {
  const row = document.createElement("li");
  const [name, track, fill, share] = ["b", "span", "span", "span"].map((kind) =>
    document.createElement(kind),
  );
  name.textContent = digit;
  track.className = "track";
  fill.className = "fill";
  share.className = "share";
  track.append(fill);
  row.append(name, track, share);
  element("bars").append(row);
  return { row, fill, share };
}

function percent(probability) {
  if (probability >= 0.9995) return "over 99.9\u00a0%";
  return probability < 0.0005 ? "0\u00a0%" : `${(100 * probability).toFixed(1)}\u00a0%`;
}

function changed(isSettled, problem = "") {
  [settled, notice] = [isSettled, problem];
  result.setAttribute("aria-busy", "true");
  frame ||= requestAnimationFrame(update);
}

function update() {
  frame = 0;
  paint(drawing);
  if (settled) drawing.keep();
  element("pad").classList.toggle("empty", drawing.isEmpty);
  element("undo").disabled = !drawing.canUndo;
  element("redo").disabled = !drawing.canRedo;
  element("clear").disabled = drawing.isEmpty;
  for (const [example, choice] of choices) choice.checked = example === drawing.image;
  const levels = drawing.image?.pixels ?? asImage(drawing.strokes);
  paintPixels(seen, SIZE, (place) => Array(3).fill(levels ? levels[place] : 0));
  if (network) show(levels);
  else if (failure) tell(failure);
}

function show(levels) {
  const features = network.features(levels ?? new Uint8Array(SIZE * SIZE));
  layers.show(network.operations, features);
  const probabilities = levels && network.probabilities(features.at(-1).values);
  const order = [...bars.keys()].sort((a, b) => (probabilities?.[b] ?? 0) - (probabilities?.[a] ?? 0));
  bars.forEach(({ row, fill, share }, digit) => {
    const probability = probabilities?.[digit] ?? 0;
    fill.style.transform = `scaleY(${probability})`;
    share.textContent = Math.round(100 * probability) || "";
    row.classList.toggle("likeliest", Boolean(probabilities) && digit === order[0]);
  });
  element("digit").textContent = probabilities ? order[0] : "?";
  result.classList.toggle("nothing", !probabilities);
  showEvidence(levels, order[0]);
  tell(notice || sentenceAbout(probabilities, order));
}

/** Say it once no stroke is under way; a screen reader waits until nothing is busy. */
function tell(words) {
  if (settled && sentence.textContent !== words) sentence.textContent = words;
  result.setAttribute("aria-busy", "false");
}

function sentenceAbout(probabilities, [digit, next]) {
  if (!probabilities) return invitation;
  const remark = drawing.image ? drawing.image.remark : settled && remarkOn(drawing.strokes);
  if (remark) return remark;
  let words = `This looks like ${digit === 8 ? "an" : "a"} ${digit} (${percent(probabilities[digit])}).`;
  if (probabilities[next] >= 0.0005) words += ` Next: ${next} (${percent(probabilities[next])}).`;
  if (probabilities[digit] < SURE) words += " The network is unsure.";
  const label = drawing.image?.label;
  if (label !== undefined) words += label === digit ? " So says its label." : ` Its label says ${label}.`;
  return words;
}

/** The map of what the digit rests on, once no stroke is under way. */
async function showEvidence(levels, digit) {
  const reading = ++readings;
  const isOutdated = () => reading !== readings;
  rests.setAttribute("aria-busy", "true");
  paintEvidence(rests, levels, null);
  element("rests-on").textContent = levels ? `What the ${digit} rests on:` : "What it rests on:";
  if (!settled) return;
  const values = levels && (await evidence(network, levels, digit, isOutdated));
  if (isOutdated()) return;
  paintEvidence(rests, levels, values);
  rests.setAttribute("aria-busy", "false");
}

/** Read a picture that was pasted, dropped, chosen or taken. */
async function offerPicture(file) {
  if (!file) return;
  try {
    drawing.show(await readPicture(file));
    changed(true);
  } catch (error) {
    changed(true, `${file.name || "The picture"}: ${error.message}`);
  }
}

function listenToControls(isDrawing) {
  const act = (action) => {
    if (isDrawing()) return;
    drawing[action]();
    changed(true);
  };
  for (const name of ["undo", "redo", "clear"]) {
    element(name).addEventListener("click", () => act(name));
  }
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    const control = event.ctrlKey || event.metaKey;
    if (key === "escape") act("clear");
    else if (control && (key === "y" || (key === "z" && event.shiftKey))) act("redo");
    else if (control && key === "z") act("undo");
    else return;
    event.preventDefault();
  });
  for (const name of ["file", "photo"]) {
    element(name).addEventListener("change", ({ target }) => {
      offerPicture(target.files[0]);
      target.value = ""; // the same file may be chosen again
    });
  }
  document.addEventListener("paste", ({ clipboardData }) => offerPicture(clipboardData.files[0]));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault(); // or the browser leaves the page for the picture
    offerPicture(event.dataTransfer.files[0]);
  });
  for (const feature of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
    matchMedia(feature).addEventListener("change", () => changed(settled, notice));
  }
}

function brush() {
  const { value } = document.querySelector("[name=brush]:checked");
  return value === "eraser" ? null : Number(value);
}

/** The examples as radio buttons: arrow keys go from one to the next. */
async function offerExamples() {
  for (const { name, digits } of await fetchJson("examples.json")) {
    const row = document.createElement("div");
    row.className = "row";
    const caption = document.createElement("p");
    caption.textContent = name;
    row.append(caption, ...digits.map((digit) => offer(digit, name)));
    element("examples").append(row);
  }
}

function offer({ label, pixels }, name) {
  const example = { label, pixels: Uint8Array.from(atob(pixels), (sign) => sign.charCodeAt(0)) };
  const frame = document.createElement("label");
  const [choice, image] = ["input", "canvas"].map((kind) => document.createElement(kind));
  choice.type = "radio";
  choice.name = "example";
  choice.setAttribute("aria-label", `A ${label}, ${name.toLowerCase()}`);
  choice.addEventListener("change", () => {
    drawing.show(example);
    changed(true);
  });
  paintPixels(image, SIZE, (place) => Array(3).fill(example.pixels[place]));
  frame.append(choice, image);
  choices.set(example, choice);
  return frame;
}

listenToControls(listen(drawing, brush, changed));
drawing.restore();
changed(true);
sentence.textContent = "Loading the network …";
try {
  network = new Network(await fetchJson("network.json"));
  element("parameters").textContent = network.parameters.toLocaleString("en");
} catch (error) {
  failure = `The network cannot be run: ${error.message}`;
}
changed(settled);
try {
  await offerExamples();
} catch (error) {
  changed(true, `The examples cannot be shown: ${error.message}`);
}
