// The face model's bases, from face_model.bin.
import type { ArrayEntry, FaceModelEntry } from "./contract";

// An expression moves some of the vertices only.
export interface Expression {
  name: string;
  vertices: Uint32Array; // their numbers
  offsets: Float32Array; // (n, 3) model units
}

export interface FaceModel {
  unitMm: number;
  mean: Float32Array; // (V, 3), x right, y up, z towards the camera
  identity: Float32Array[]; // K of (V, 3)
  expressions: Expression[];
  bounds: [number, number];
  landmarkMean: Float32Array; // (68, 3)
  landmarkBasis: Float32Array[]; // K + E of (68, 3)
  triangles: Uint32Array; // (T, 3), counter-clockwise seen from outside
  mask: Float32Array; // (V,), 1 on the face, 0 beside it
}

// Throws where the file is not as long as app.json says.
export function readFaceModel(buffer: ArrayBuffer, entry: FaceModelEntry): FaceModel {
  const read = (name: string) => readArray(buffer, entry.arrays[name], `${entry.file}: ${name}`);
  const mean = read("mean") as Float32Array;
  const landmarkMean = read("landmark_mean") as Float32Array;
  const counts = read("expression_counts");
  const vertices = read("expression_vertices") as Uint32Array;
  const offsets = read("expression_offsets") as Float32Array;
  const expressions: Expression[] = [];
  let start = 0;
  for (const [index, name] of entry.expression_names.entries()) {
    const stop = start + counts[index];
    expressions.push({
      name,
      vertices: vertices.subarray(start, stop),
      offsets: offsets.subarray(3 * start, 3 * stop),
    });
    start = stop;
  }
  return {
    unitMm: entry.unit_mm,
    mean,
    identity: split(read("identity_basis") as Float32Array, mean.length),
    expressions,
    bounds: entry.expression_bounds,
    landmarkMean,
    landmarkBasis: split(read("landmark_basis") as Float32Array, landmarkMean.length),
    triangles: read("triangles") as Uint32Array,
    mask: read("mask") as Float32Array,
  };
}

function readArray(buffer: ArrayBuffer, entry: ArrayEntry, what: string): Float32Array | Uint32Array {
  const count = entry.shape.reduce((product, size) => product * size, 1);
  const size = entry.dtype === "float16" ? 2 : 4;
  if (entry.offset + size * count > buffer.byteLength) {
    throw new Error(`${what} is cut off; copy the folder again`);
  }
  if (entry.dtype === "float32") return new Float32Array(buffer, entry.offset, count);
  if (entry.dtype === "uint32") return new Uint32Array(buffer, entry.offset, count);
  const table = halfTable();
  return Float32Array.from(new Uint16Array(buffer, entry.offset, count), (half) => table[half]);
}

function split(basis: Float32Array, size: number): Float32Array[] {
  const modes = basis.length / size;
  return Array.from({ length: modes }, (_, m) => basis.subarray(m * size, (m + 1) * size));
}

let halves: Float32Array | undefined;

// The values of all half-precision numbers (IEEE 754 binary16), by their bits.
function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
  return halves;
}
