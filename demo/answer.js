/** What the network answers: a sentence, and a bar for each class or for the likeliest. */

const MOST = 10; // bars
const SHORT = 2; // letters of a name that stands below its bar

/** Places of the classes, the likeliest first. */
export function ranked(probabilities) {
  return [...probabilities.keys()].sort((one, other) => probabilities[other] - probabilities[one]);
}

/** A class's name in a sentence; names in other scripts do not turn what follows them around. */
export function quoted(name) {
  return isNumber(name) ? name : `“\u2068${name}\u2069”`;
}

/** The same with an article, if it is a number. */
export function aClass(name) {
  return isNumber(name) ? `${/^(8\d*|11|18)$/.test(name) ? "an" : "a"} ${name}` : quoted(name);
}

const isNumber = (name) => /^\d+$/.test(name);

function percent(probability) {
  if (probability >= 0.9995) return "over 99.9\u00a0%";
  return probability < 0.0005 ? "0\u00a0%" : `${(100 * probability).toFixed(1)}\u00a0%`;
}

/** label: the place of the class that the image has, if that is known. */
export function sentenceAbout(probabilities, { classes, sure }, label) {
  const [first, next] = ranked(probabilities);
  let words = `This looks like ${aClass(classes[first])} (${percent(probabilities[first])}).`;
  if (probabilities[next] >= 0.0005) {
    words += ` Next: ${quoted(classes[next])} (${percent(probabilities[next])}).`;
  }
  if (probabilities[first] < sure) words += " The network is unsure.";
  if (label === undefined) return words;
  return words + (label === first ? " So says its label." : ` Its label says ${quoted(classes[label])}.`);
}

/** The bars, in a list; names that are not short stand beside them. */
export class Bars {
  #classes;
  #bars;

  constructor(list, classes) {
    this.#classes = classes;
    this.#bars = classes.slice(0, MOST).map(() => bar(list));
    list.classList.toggle("named", classes.length > MOST || classes.some((name) => name.length > SHORT));
    this.show(null);
  }

  /** Show what is likely; without probabilities, nothing is. */
  show(probabilities) {
    const order = ranked(probabilities ?? new Array(this.#classes.length).fill(0));
    const shown = order.length > MOST ? order : [...order.keys()];
    this.#bars.forEach(({ row, name, fill, share }, k) => {
      const probability = probabilities?.[shown[k]] ?? 0;
      row.title = name.textContent = this.#classes[shown[k]];
      fill.style.setProperty("--part", probability);
      share.textContent = Math.round(100 * probability) || "";
      row.classList.toggle("likeliest", Boolean(probabilities) && shown[k] === order[0]);
    });
  }
}

function bar(list) {
  const row = document.createElement("li");
  const [name, track, fill, share] = ["b", "span", "span", "span"].map((kind) =>
    document.createElement(kind),
  );
  name.dir = "auto";
  track.className = "track";
  fill.className = "fill";
  share.className = "share";
  track.append(fill);
  row.append(name, track, share);
  list.append(row);
  return { row, name, fill, share };
}
