// Networks in LiteRT.js: .tflite files, run by WebAssembly on one thread.
import { type CompiledModel, loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

export async function startRuntime(folder: string): Promise<void> {
  await loadLiteRt(folder);
}

export class Network {
  private constructor(
    private readonly model: CompiledModel,
    readonly inputShape: number[],
    readonly outputShapes: number[][],
  ) {}

  static async open(url: string): Promise<Network> {
    const model = await loadAndCompile(url, { accelerator: "wasm" });
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
