// Loads everything that the page needs from its own folder.
import { type AppConfig, checkContract, type Contract } from "./contract";
import { Decoder } from "./decode";
import { Detector } from "./detector";
import { readFaceModel } from "./face_model";
import { Network, startRuntime } from "./network";
import { Reconstructor } from "./reconstructor";

export interface Loaded {
  config: AppConfig;
  reconstructor: Reconstructor;
}

export async function load(): Promise<Loaded> {
  const [contract, config] = await Promise.all([
    fetched("contract.json").then((response) => response.json() as Promise<Contract>),
    fetched("app.json").then((response) => response.json() as Promise<AppConfig>),
  ]);
  checkContract(contract, config);
  const [bases] = await Promise.all([
    fetched(config.face_model.file).then((response) => response.arrayBuffer()),
    startRuntime(config.wasm),
  ]);
  const decoder = new Decoder(contract, readFaceModel(bases, config.face_model));
  const network = await Network.open(config.model);
  const shortRange = await Network.open(config.detector.short_range);
  const detector = new Detector(
    shortRange,
    retried(() => Network.open(config.detector.back_camera)),
    config.detector,
  );
  const { refined_iou: refinedIou } = config.detector;
  const reconstructor = new Reconstructor(contract, network, decoder, detector, refinedIou);
  return { config, reconstructor };
}

// Opens something once; after a failure, the next call tries again.
function retried<T>(open: () => Promise<T>): () => Promise<T> {
  let opening: Promise<T> | undefined;
  return () => {
    opening ??= open().catch((error) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
}

async function fetched(name: string): Promise<Response> {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} is missing in the app's folder; export it again`);
  return response;
}
