// From the network's numbers to landmarks, vertices, pose and blendshapes; as edge3d/decode.py.
import type { Contract } from "./contract";
import type { ToFrame } from "./crop";
import type { FaceModel } from "./face_model";

export interface Pose {
  yawDeg: number; // positive: the face turns to the image's left
  pitchDeg: number; // positive: it looks up
  rollDeg: number; // positive: it tilts clockwise in the image
}

export class Decoder {
  private readonly mean: Float32Array;
  private readonly std: Float32Array;
  private readonly slices: Record<string, [number, number]>;

  constructor(
    contract: Contract,
    readonly model: FaceModel,
  ) {
    this.mean = Float32Array.from(contract.parameters.mean);
    this.std = Float32Array.from(contract.parameters.std);
    this.slices = contract.parameters.slices;
    const [identity, expression] = [this.slices.identity, this.slices.expression];
    if (
      identity[1] - identity[0] !== model.identity.length ||
      expression[1] - expression[0] !== model.expressions.length
    ) {
      throw new Error("contract.json and face_model.bin do not fit; export again");
    }
  }

  // Parameters (P,) of the network's output (P,): unwhitened, expressions bounded.
  params(whitened: Float32Array): Float32Array {
    const params = whitened.map((value, i) => Math.fround(value * this.std[i]) + this.mean[i]);
    const [low, high] = this.model.bounds;
    const expression = this.part(params, "expression");
    for (let i = 0; i < expression.length; i++) {
      expression[i] = Math.min(high, Math.max(low, expression[i]));
    }
    return params;
  }

  // A named slice of the parameters, not a copy.
  part(params: Float32Array, name: string): Float32Array {
    return params.subarray(...this.slices[name]);
  }

  // The 68 landmarks (68, 3) in image pixels: y down, z towards the camera.
  landmarks(params: Float32Array, toFrame: ToFrame): Float32Array {
    const points = this.model.landmarkMean.slice();
    const weights = [...this.part(params, "identity"), ...this.part(params, "expression")];
    weights.forEach((weight, m) => addScaled(points, this.model.landmarkBasis[m], weight));
    return this.placed(points, params, toFrame);
  }

  // The mesh (V, 3) in image pixels. `identityShape`, of `shapeOf`, stands for the identity and
  // saves most of the time.
  vertices(params: Float32Array, toFrame: ToFrame, identityShape?: Float32Array): Float32Array {
    const points = identityShape?.slice() ?? this.neutral(params);
    this.part(params, "expression").forEach((weight, m) => {
      if (weight === 0) return;
      const { vertices, offsets } = this.model.expressions[m];
      for (let i = 0; i < vertices.length; i++) {
        const at = 3 * vertices[i];
        points[at] += weight * offsets[3 * i];
        points[at + 1] += weight * offsets[3 * i + 1];
        points[at + 2] += weight * offsets[3 * i + 2];
      }
    });
    return this.placed(points, params, toFrame);
  }

  // The face without expression and pose (V, 3) in model units, y up.
  neutral(params: Float32Array): Float32Array {
    return this.shapeOf([...this.part(params, "identity")]);
  }

  // The same of an identity (K,).
  shapeOf(identity: number[]): Float32Array {
    const points = this.model.mean.slice();
    identity.forEach((weight, m) => addScaled(points, this.model.identity[m], weight));
    return points;
  }

  // The rotation (3, 3) by rows, model to camera, y up: two rows made orthonormal (Y. Zhou et al.,
  // CVPR 2019).
  rotation(params: Float32Array): number[] {
    const six = this.part(params, "rotation");
    const first = unit([six[0], six[1], six[2]]);
    const along = first[0] * six[3] + first[1] * six[4] + first[2] * six[5];
    const second = unit([0, 1, 2].map((k) => six[3 + k] - along * first[k]));
    const [a, b, c] = first;
    const [d, e, f] = second;
    return [...first, ...second, b * f - c * e, c * d - a * f, a * e - b * d];
  }

  // Angles as edge3d/pose.py defines them.
  pose(params: Float32Array): Pose {
    const r = this.rotation(params);
    const degrees = 180 / Math.PI;
    const sine = Math.min(1, Math.max(-1, -r[2]));
    const locked = Math.abs(sine) > 1 - 1e-9;
    return {
      yawDeg: degrees * Math.asin(sine),
      pitchDeg: degrees * (locked ? Math.atan2(-r[7], r[4]) : Math.atan2(r[5], r[8])),
      rollDeg: locked ? 0 : degrees * Math.atan2(r[1], r[0]),
    };
  }

  // Brings points (N, 3) from model units to image pixels, in their place.
  private placed(points: Float32Array, params: Float32Array, toFrame: ToFrame): Float32Array {
    const r = this.rotation(params);
    const scale = this.part(params, "scale")[0] * toFrame.scale;
    const shift = this.part(params, "translation");
    const left = shift[0] * toFrame.scale + toFrame.x;
    const top = shift[1] * toFrame.scale + toFrame.y;
    for (let i = 0; i < points.length; i += 3) {
      const [x, y, z] = [points[i], points[i + 1], points[i + 2]];
      points[i] = scale * (r[0] * x + r[1] * y + r[2] * z) + left;
      points[i + 1] = -scale * (r[3] * x + r[4] * y + r[5] * z) + top;
      points[i + 2] = scale * (r[6] * x + r[7] * y + r[8] * z);
    }
    return points;
  }
}

function addScaled(points: Float32Array, mode: Float32Array, weight: number): void {
  for (let i = 0; i < points.length; i++) points[i] += weight * mode[i];
}

function unit(vector: number[]): number[] {
  const length = Math.max(Math.hypot(...vector), 1e-8);
  return vector.map((value) => value / length);
}
