/** The page to draw on: pad, pictures and examples go in; the class and what it rests on come out. */

import { Bars, ranked, sentenceAbout } from "./answer.js";
import { listenForPictures, offerExamples } from "./choosing.js";
import { Drawing } from "./drawing.js";
import { evidence, paintEvidence } from "./evidence.js";
import { Layers, paintLevels } from "./layers.js";
import { SIZE } from "./mnist_form.js";
import { Network, fetchJson } from "./network.js";
import { listen, paint } from "./pad.js";
import { readPicture } from "./picture.js";
import { asImage, remarkOn } from "./strokes.js";

const element = (id) => document.getElementById(id);
const [seen, rests, result, sentence] = ["seen", "rests", "result", "sentence"].map(element);
const drawing = new Drawing();
const layers = new Layers(element("maps"));
const blank = new Uint8Array(SIZE * SIZE);
const invitation = `${document.title}, choose one below, or paste, drop or choose a picture.`;

let network = null;
let bars = null;
let choices = new Map(); // example -> its radio button
let failure = ""; // why there is no network
let notice = ""; // what went wrong with a picture, until the pad changes
let settled = true; // no stroke is under way, so the sentence may be announced
let frame = 0;
let readings = 0;

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
  paintLevels(seen, SIZE, levels ?? blank);
  if (network) show(levels);
  else if (failure) tell(failure);
}

function show(levels) {
  const features = network.features(levels ?? blank);
  layers.show(network.operations, features);
  const probabilities = levels && network.probabilities(features.at(-1).values);
  bars.show(probabilities);
  const likeliest = probabilities && ranked(probabilities)[0];
  element("digit").textContent = probabilities ? network.classes[likeliest] : "?";
  result.classList.toggle("nothing", !probabilities);
  showEvidence(levels, likeliest);
  tell(notice || wordsAbout(probabilities));
}

/** Say it once no stroke is under way; a screen reader waits until nothing is busy. */
function tell(words) {
  if (settled && sentence.textContent !== words) sentence.textContent = words;
  result.setAttribute("aria-busy", "false");
}

function wordsAbout(probabilities) {
  if (!probabilities) return invitation;
  const remark = drawing.image ? drawing.image.remark : settled && remarkOn(drawing.strokes);
  return remark || sentenceAbout(probabilities, network, drawing.image?.label);
}

/** The map of what the digit rests on, once no stroke is under way. */
async function showEvidence(levels, digit) {
  const reading = ++readings;
  const isOutdated = () => reading !== readings;
  rests.setAttribute("aria-busy", "true");
  paintEvidence(rests, levels, null);
  const name = levels ? `the ${network.classes[digit]}` : "it";
  element("rests-on").textContent = `What ${name} rests on:`;
  if (!settled) return;
  const values = levels && (await evidence(network, levels, digit, isOutdated));
  if (isOutdated()) return;
  paintEvidence(rests, levels, values);
  rests.setAttribute("aria-busy", "false");
}

/** Read a picture that was pasted, dropped, chosen or taken. */
async function offerPicture(file) {
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
  listenForPictures(offerPicture);
  for (const feature of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
    matchMedia(feature).addEventListener("change", () => changed(settled, notice));
  }
}

function brush() {
  const { value } = document.querySelector("[name=brush]:checked");
  return value === "eraser" ? null : Number(value);
}

listenToControls(listen(drawing, brush, changed));
drawing.restore();
changed(true);
sentence.textContent = "Loading the network …";
try {
  const written = new Network(await fetchJson("network.json"));
  bars = new Bars(element("bars"), written.classes);
  element("parameters").textContent = written.parameters.toLocaleString("en");
  network = written;
} catch (error) {
  failure = `The network cannot be run: ${error.message}`;
}
changed(settled);
try {
  const choose = (example) => {
    drawing.show(example);
    changed(true);
  };
  if (network) choices = await offerExamples(element("examples"), network, choose);
} catch (error) {
  changed(true, `The examples cannot be shown: ${error.message}`);
}
