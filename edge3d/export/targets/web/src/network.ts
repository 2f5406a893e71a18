// Networks in LiteRT.js: .tflite files, run by WebAssembly on one thread.
import { type CompiledModel, loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

const FETCH_TIMEOUT_MS = 60_000;

export async function startRuntime(folder: string): Promise<void> {
  await loadLiteRt(folder);
}

export class Network {
  private constructor(
    private readonly model: CompiledModel,
    readonly inputShape: number[],
    readonly outputShapes: number[][],
  ) {}

  // Throws where the file cannot be fetched, or not within FETCH_TIMEOUT_MS.
  static async open(url: string): Promise<Network> {
    const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`${url} is missing in the app's folder; export it again`);
    const file = new Uint8Array(await response.arrayBuffer());
    const model = await loadAndCompile(file, { accelerator: "wasm" });
    return new Network(
      model,
      [...model.getInputDetails()[0].shape],
      model.getOutputDetails().map((output) => [...output.shape]),
    );
  }

  // The outputs for one input, in the file's order.
  async run(input: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>): Promise<Float32Array[]> {
    const tensor = new Tensor(input, this.inputShape);
    try {
      const outputs = await this.model.run(tensor);
      const values = outputs.map((output) => Float32Array.from(output.toTypedArray()));
      outputs.forEach((output) => output.delete());
      return values;
    } finally {
      tensor.delete();
    }
  }
}
