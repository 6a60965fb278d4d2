/** The exported network, run by ONNX Runtime in this page, on one thread. */

import * as ort from "./ort.wasm.bundle.min.mjs";
import { SIZE } from "./handwriting.js";

ort.env.wasm.numThreads = 1; // more would need headers that a plain server does not send
ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href };

/** Fetch an ONNX file of the export stage; gives its size in bytes and what reads images. */
export async function load(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  const content = new Uint8Array(await answer.arrayBuffer());
  const session = await ort.InferenceSession.create(content, { executionProviders: ["wasm"] });

  /** Probabilities, Float32Array of N * 10, for images, Uint8Array of N * 28 * 28. */
  async function read(images) {
    const shape = [images.length / SIZE ** 2, SIZE, SIZE];
    const { probabilities } = await session.run(
      { images: new ort.Tensor("uint8", images, shape) },
      ["probabilities"],
    );
    return probabilities.data;
  }
  return { bytes: content.length, read };
}
