/** The page: pad, buttons and examples go in; the digit, its bars and a sentence come out. */

import { Drawing, SIDE, picture } from "./drawing.js";
import { SIZE, asMnist } from "./handwriting.js";
import { load } from "./reader.js";

const element = (id) => document.getElementById(id);
const [pad, seen, result, sentence] = ["pad", "seen", "result", "sentence"].map(element);
const surface = pad.getContext("2d", { willReadFrequently: true });
const drawing = new Drawing();
const choices = new Map(); // example -> its radio button
const bars = Array.from({ length: 10 }, (_, digit) => bar(digit));
const invitation = sentence.textContent;

let network = null;
let failed = false;
let settled = true; // no stroke is under way, so the sentence may be announced
let outdated = false; // the pad has changed since the network last looked
let reading = false;

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
  if (probability >= 0.9995) return "> 99.9\u00a0%";
  return probability < 0.0005 ? "0\u00a0%" : `${(100 * probability).toFixed(1)}\u00a0%`;
}

/** What the pad holds, as the network is to see it; null for nothing. */
function image() {
  if (drawing.example) return drawing.example.pixels;
  const pixels = surface.getImageData(0, 0, SIDE, SIDE).data;
  const ink = new Uint8Array(SIDE * SIDE);
  for (let place = 0; place < ink.length; place++) ink[place] = pixels[4 * place + 3];
  return asMnist(ink, SIDE, SIDE);
}

function changed(isSettled) {
  drawing.paint(surface);
  settled = isSettled;
  outdated = true;
  pad.classList.toggle("empty", drawing.isEmpty);
  element("undo").disabled = !drawing.canUndo;
  element("clear").disabled = drawing.isEmpty;
  for (const [example, choice] of choices) choice.checked = example === drawing.example;
  result.setAttribute("aria-busy", String(!failed));
  update();
}

/** Read until what was read is what is drawn; strokes go on meanwhile. */
async function update() {
  if (reading || failed) return;
  reading = true;
  try {
    while (outdated) {
      await new Promise(requestAnimationFrame);
      outdated = false;
      const levels = image();
      showSeen(levels);
      if (network) showProbabilities(levels && (await network.read(levels)));
    }
    if (network) result.setAttribute("aria-busy", "false");
  } catch (error) {
    fail(error);
  }
  reading = false;
}

function showSeen(levels) {
  const shown = new ImageData(SIZE, SIZE);
  for (let place = 0; place < SIZE * SIZE; place++) {
    const level = levels ? levels[place] : 0;
    shown.data.set([level, level, level, 255], 4 * place);
  }
  seen.getContext("2d").putImageData(shown, 0, 0);
}

function showProbabilities(probabilities) {
  const order = [...bars.keys()].sort((a, b) => (probabilities?.[b] ?? 0) - (probabilities?.[a] ?? 0));
  const [digit, next] = order;
  bars.forEach(({ row, fill, share }, k) => {
    const probability = probabilities?.[k] ?? 0;
    fill.style.transform = `scaleX(${probability})`;
    share.textContent = probabilities ? percent(probability) : "";
    row.classList.toggle("likeliest", Boolean(probabilities) && k === digit);
  });
  element("digit").textContent = probabilities ? digit : "?";
  result.classList.toggle("nothing", !probabilities);
  if (settled) say(probabilities, digit, next);
}

function say(probabilities, digit, next) {
  let words = invitation;
  if (probabilities) {
    const surely = percent(probabilities[digit]).replace("> ", "over\u00a0");
    words = `This looks like ${digit === 8 ? "an" : "a"} ${digit} (${surely}).`;
    if (probabilities[next] >= 0.0005) words += ` Next: ${next} (${percent(probabilities[next])}).`;
    const label = drawing.example?.label;
    if (label !== undefined) {
      words += label === digit ? " So says its label." : ` Its label says ${label}.`;
    }
  }
  if (sentence.textContent !== words) sentence.textContent = words;
}

function fail(error) {
  failed = true;
  result.setAttribute("aria-busy", "false"); // or a screen reader waits with the sentence
  console.error(error);
  sentence.textContent = `The network cannot be run: ${error.message}`;
}

function listen() {
  const place = ({ clientX, clientY }) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    return [((clientX - left) * SIDE) / width, ((clientY - top) * SIDE) / height];
  };
  let pointer = null;
  pad.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    pad.setPointerCapture(pointer);
    drawing.begin(...place(event));
    changed(false);
  });
  pad.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) drawing.extend(...place(each));
    changed(false);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    pad.addEventListener(end, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      changed(true);
    });
  }
  const act = (action) => {
    if (pointer !== null) return;
    drawing[action]();
    changed(true);
  };
  element("undo").addEventListener("click", () => act("undo"));
  element("clear").addEventListener("click", () => act("clear"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") act("clear");
    else if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
      event.preventDefault();
      act("undo");
    }
  });
}

/** The examples as radio buttons: arrow keys go from one to the next. */
async function offerExamples() {
  const rows = await (await fetch("examples.json")).json();
  for (const { name, digits } of rows) {
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
  const choice = document.createElement("input");
  choice.type = "radio";
  choice.name = "example";
  choice.setAttribute("aria-label", `A ${label}, ${name.toLowerCase()}`);
  choice.addEventListener("change", () => {
    drawing.show(example);
    changed(true);
  });
  frame.append(choice, picture(example.pixels));
  choices.set(example, choice);
  return frame;
}

listen();
changed(true);
try {
  await offerExamples();
  network = await load("model.onnx");
  element("size").textContent = `${Math.round(network.bytes / 1000)} kB`;
  changed(settled);
} catch (error) {
  fail(error);
}
