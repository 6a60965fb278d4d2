/** The page for pictures: a picture or an example goes in; its class, and how likely it is, come out. */

import { Bars, sentenceAbout } from "./answer.js";
import { listenForPictures, offerExamples } from "./choosing.js";
import { fitted } from "./fitting.js";
import { Layers, paintLevels } from "./layers.js";
import { Network, fetchJson } from "./network.js";
import { open } from "./opening.js";

const element = (id) => document.getElementById(id);
const [shown, seen, result, sentence] = ["picture", "seen", "result", "sentence"].map(element);
const layers = new Layers(element("maps"));
const FORMS = {
  pad: "All of the picture, its edges continued to a square.",
  crop: "The middle of the picture.",
  stretch: "All of the picture, stretched to a square.",
};

const loading = load(); // the network and its bars, or nothing if it cannot be run
let choices = new Map(); // example -> its radio button

async function load() {
  sentence.textContent = "Loading the network …";
  try {
    const network = new Network(await fetchJson("network.json"));
    const { size, channels, classes, fit, parameters } = network;
    const bars = new Bars(element("bars"), classes);
    const colour = channels === 1 ? "grey" : "colour";
    element("form").textContent = `${size}\u00a0×\u00a0${size} pixels in ${colour}. ${FORMS[fit]}`;
    element("parameters").textContent = parameters.toLocaleString("en");
    return { network, bars };
  } catch (error) {
    tell(`The network cannot be run: ${error.message}`);
  }
}

/** Show an image and what the network answers; picture: what it was made from, and its name. */
function show({ network, bars }, { pixels, label }, picture, name) {
  const features = network.features(pixels);
  const probabilities = network.probabilities(features.at(-1).values);
  paintLevels(seen, network.size, pixels);
  paintPicture(picture ?? seen, Boolean(picture));
  shown.setAttribute("aria-label", name);
  layers.show(network.operations, features);
  element("maps").hidden = false;
  bars.show(probabilities);
  result.classList.remove("nothing");
  tell(sentenceAbout(probabilities, network, label));
}

function paintPicture(picture, isSmooth) {
  const surface = shown.getContext("2d");
  const scale = shown.width / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  const box = [(shown.width - width) / 2, (shown.height - height) / 2, width, height];
  surface.clearRect(0, 0, shown.width, shown.height);
  surface.fillStyle = "white"; // where the picture is transparent
  surface.fillRect(...box);
  surface.imageSmoothingEnabled = isSmooth;
  surface.imageSmoothingQuality = "high";
  surface.drawImage(picture, ...box);
  shown.classList.remove("empty");
}

function tell(words) {
  sentence.textContent = words;
  result.setAttribute("aria-busy", "false");
}

async function offerPicture(file) {
  const loaded = await loading;
  if (!loaded) return;
  const name = file.name || "The picture";
  result.setAttribute("aria-busy", "true");
  try {
    const { picture, image } = await open(file, "white");
    show(loaded, { pixels: fitted(image, loaded.network) }, picture, name);
    for (const choice of choices.values()) choice.checked = false;
  } catch (error) {
    tell(`${name}: ${error.message}`);
  }
}

listenForPictures(offerPicture);
document.querySelector(".paper").addEventListener("click", () => element("file").click());
const loaded = await loading;
if (loaded) {
  tell("Choose a picture or one of the examples below; or paste a picture, or drop it here.");
  try {
    const choose = (example) => show(loaded, example, null, "An example");
    choices = await offerExamples(element("examples"), loaded.network, choose);
  } catch (error) {
    tell(`The examples cannot be shown: ${error.message}`);
  }
}
