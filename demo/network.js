/** The trained network in plain JavaScript: runs the operations that demo/build.py wrote. */

/**
 * Each takes features, {values: Float32Array of channels * size * size, channels, size}, and an
 * operation, and gives features. demo/build.py refuses a network with an operator not among them.
 */
const OPERATORS = {
  Conv(features, { weights, bias, relu, pads: [border] }) {
    const { values, channels, size: width } = bordered(features, border);
    const size = width - 2; // the kernel is 3x3
    if (weights.length !== bias.length * channels * 9) throw new Error("a convolution is not 3x3");
    const sums = new Float32Array(bias.length * size * size);
    for (let output = 0, weight = 0; output < bias.length; output++) {
      const sum = sums.subarray(output * size * size, (output + 1) * size * size).fill(bias[output]);
      for (let input = 0; input < channels; input++, weight += 9) {
        const [a, b, c, d, e, f, g, h, i] = weights.subarray(weight, weight + 9);
        for (let row = 0, place = 0; row < size; row++) {
          let [high, middle, low] = [0, 1, 2].map((down) => (input * width + row + down) * width);
          for (let column = 0; column < size; column++, place++, high++, middle++, low++) {
            sum[place] +=
              a * values[high] + b * values[high + 1] + c * values[high + 2] +
              d * values[middle] + e * values[middle + 1] + f * values[middle + 2] +
              g * values[low] + h * values[low + 1] + i * values[low + 2];
          }
        }
      }
    }
    return { values: relu ? rectify(sums) : sums, channels: bias.length, size };
  },

  MaxPool({ values, channels, size: width }, { kernel_shape: [kernel] }) {
    const size = Math.floor(width / kernel);
    const highest = new Float32Array(channels * size * size).fill(-Infinity);
    for (let channel = 0, place = 0; channel < channels; channel++) {
      for (let row = 0; row < size; row++) {
        for (let column = 0; column < size; column++, place++) {
          for (let y = kernel * row; y < kernel * (row + 1); y++) {
            for (let x = kernel * column; x < kernel * (column + 1); x++) {
              highest[place] = Math.max(highest[place], values[(channel * width + y) * width + x]);
            }
          }
        }
      }
    }
    return { values: highest, channels, size };
  },

  GlobalAveragePool({ values, channels, size }) {
    const means = new Float32Array(channels);
    for (let channel = 0; channel < channels; channel++) {
      const plane = values.subarray(channel * size * size, (channel + 1) * size * size);
      means[channel] = plane.reduce((sum, value) => sum + value, 0) / plane.length;
    }
    return { values: means, channels, size: 1 };
  },

  Flatten: ({ values }) => ({ values, channels: values.length, size: 1 }),

  Gemm({ values }, { weights, bias, relu }) {
    const sums = bias.map((start, output) => {
      let sum = start;
      for (let k = 0; k < values.length; k++) sum += values[k] * weights[output * values.length + k];
      return sum;
    });
    return { values: relu ? rectify(sums) : sums, channels: bias.length, size: 1 };
  },
};

/** The features with a border of zeros. */
function bordered({ values, channels, size }, border) {
  const width = size + 2 * border;
  const result = new Float32Array(channels * width * width);
  for (let row = 0; row < channels * size; row++) {
    const start = (Math.floor(row / size) * width + (row % size) + border) * width + border;
    result.set(values.subarray(row * size, (row + 1) * size), start);
  }
  return { values: result, channels, size: width };
}

function rectify(values) {
  for (let place = 0; place < values.length; place++) if (values[place] < 0) values[place] = 0;
  return values;
}

const floats = (packed) =>
  new Float32Array(Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0)).buffer);

export class Network {
  #mean;
  #std;
  #temperature;

  /**
   * written: what demo/build.py wrote into network.json. Some of it can be read here: how many
   * parameters there are; the size and channels of images; the names of the classes; the
   * probability below which the network is unsure; how a picture is fitted.
   */
  constructor({ mean, std, temperature, operations, ...about }) {
    [this.#mean, this.#std, this.#temperature] = [255 * mean, 255 * std, temperature];
    Object.assign(this, about);
    this.operations = operations.map(({ weights, bias, ...operation }) =>
      weights ? { ...operation, weights: floats(weights), bias: floats(bias) } : operation,
    );
  }

  /**
   * What each operation makes of an image, Uint8Array of size * size * channels; the last are the
   * logits.
   */
  features(levels) {
    const { size, channels } = this;
    let now = { values: new Float32Array(levels.length), channels, size };
    levels.forEach((level, k) => {
      const place = (k % channels) * size * size + Math.floor(k / channels);
      now.values[place] = (level - this.#mean) / this.#std;
    });
    return this.operations.map((operation) => (now = OPERATORS[operation.operator](now, operation)));
  }

  logits(levels) {
    return this.features(levels).at(-1).values;
  }

  /** Probabilities of the classes. */
  probabilities(logits) {
    const highest = Math.max(...logits);
    const powers = Array.from(logits, (logit) => Math.exp((logit - highest) / this.#temperature));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => power / total);
  }
}

/** Fetch a file that demo/build.py wrote. */
export async function fetchJson(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: the server answers ${answer.status}`);
  try {
    return await answer.json();
  } catch {
    throw new Error(`${name}: damaged, or not what demo/build.py wrote`);
  }
}
