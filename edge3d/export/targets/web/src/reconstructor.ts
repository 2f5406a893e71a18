// One face of an image: crop, network, decode.
import type { Contract } from "./contract";
import { type Box, cropFace, iou, landmarkBox, type ToFrame } from "./crop";
import type { Decoder, Pose } from "./decode";
import type { Detection } from "./crop_rule";
import type { Detector } from "./detector";
import type { Network } from "./network";

// What the network says of one crop.
export interface Seen {
  box: Box; // of the crop
  toFrame: ToFrame;
  params: Float32Array; // not whitened
  landmarks: Float32Array; // (68, 3) image pixels
  ownBox: Box; // the protocol's box of the landmarks
}

export interface Face {
  box: Box;
  params: Float32Array;
  landmarks: Float32Array; // (68, 3) image pixels, y down, z towards the camera
  vertices: Float32Array; // (V, 3)
  pose: Pose;
  blendshapes: Record<string, number>;
}

export class Reconstructor {
  constructor(
    readonly contract: Contract,
    private readonly network: Network,
    readonly decoder: Decoder,
    readonly detector: Detector,
    private readonly refinedIou: number,
  ) {}

  async look(image: ImageData, box: Box): Promise<Seen> {
    const crop = cropFace(image, box, this.contract.crop.size_px);
    const params = this.decoder.params((await this.network.run(crop.pixels))[0]);
    const landmarks = this.decoder.landmarks(params, crop.toFrame);
    const ownBox = this.boxOf(landmarks);
    return { box, toFrame: crop.toFrame, params, landmarks, ownBox };
  }

  // The crop box of landmarks, by the contract's rule.
  boxOf(landmarks: Float32Array): Box {
    return landmarkBox(landmarks, this.contract.crop.margin);
  }

  // The most prominent face of a photo, cropped a second time by its own landmarks.
  async find(image: ImageData): Promise<Face | undefined> {
    const found: Detection | undefined = (await this.detector.search(image))[0];
    if (!found) return undefined;
    const box = this.detector.cropBox(found);
    const first = await this.look(image, box);
    const trusted = iou(first.ownBox, box) >= this.refinedIou;
    return this.face(trusted ? await this.look(image, first.ownBox) : first);
  }

  // `identityShape`: see Decoder.vertices.
  face(seen: Seen, identityShape?: Float32Array): Face {
    const { params, toFrame } = seen;
    const weights = this.decoder.part(params, "expression");
    const names = this.decoder.model.expressions.map((expression) => expression.name);
    return {
      box: seen.box,
      params,
      landmarks: seen.landmarks,
      vertices: this.decoder.vertices(params, toFrame, identityShape),
      pose: this.decoder.pose(params),
      blendshapes: Object.fromEntries(names.map((name, i) => [name, weights[i]])),
    };
  }
}
