// Writes a face as GLB (binary glTF 2.0): the neutral face with its colours, all blendshapes as
// sparse morph targets with ARKit's names, their weights as the image shows; in metres, y up.
import type { FaceModel } from "./face_model";

const STILL_MM = 0.01; // a blendshape moves a vertex by less than this: left out
const FLOAT = 5126;
const UNSIGNED_INT = 5125;
const UNSIGNED_SHORT = 5123;
const VERTEX_DATA = 34962;
const INDEX_DATA = 34963;

type Json = Record<string, unknown>;

// `neutral` (V, 3) in model units, `colours` (V, 3) sRGB 0..255, `weights` by blendshape.
export function writeGlb(
  model: FaceModel,
  neutral: Float32Array,
  colours: Uint8Array,
  weights: Record<string, number>,
): Blob {
  const metres = model.unitMm / 1000;
  const count = neutral.length / 3;
  const parts: Uint8Array[] = [];
  const bufferViews: Json[] = [];
  const accessors: Json[] = [];
  let length = 0;
  const addView = (values: ArrayBufferView, target?: number): number => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    bufferViews.push({ buffer: 0, byteOffset: length, byteLength: bytes.length, target });
    const padding = new Uint8Array((4 - (bytes.length % 4)) % 4);
    parts.push(bytes, padding);
    length += bytes.length + padding.length;
    return bufferViews.length - 1;
  };
  const addAccessor = (accessor: Json): number => accessors.push(accessor) - 1;

  const positions = neutral.map((value) => value * metres);
  const attributes = {
    POSITION: addAccessor({
      bufferView: addView(positions, VERTEX_DATA),
      componentType: FLOAT,
      count,
      type: "VEC3",
      ...limits(positions),
    }),
    NORMAL: addAccessor({
      bufferView: addView(normals(positions, model.triangles), VERTEX_DATA),
      componentType: FLOAT,
      count,
      type: "VEC3",
    }),
    COLOR_0: addAccessor({
      bufferView: addView(linearColours(colours), VERTEX_DATA),
      componentType: UNSIGNED_SHORT,
      count,
      type: "VEC4",
      normalized: true,
    }),
  };
  const indices = addAccessor({
    bufferView: addView(model.triangles, INDEX_DATA),
    componentType: UNSIGNED_INT,
    count: model.triangles.length,
    type: "SCALAR",
  });
  const targets = model.expressions.map(({ vertices, offsets }) => {
    const far = (i: number) =>
      Math.hypot(...offsets.subarray(3 * i, 3 * i + 3)) * model.unitMm >= STILL_MM;
    let moved = [...vertices.keys()].filter(far);
    if (!moved.length) moved = [0]; // a sparse accessor holds one entry at least
    const values = new Float32Array(3 * moved.length);
    moved.forEach((from, i) => {
      for (let k = 0; k < 3; k++) values[3 * i + k] = metres * (offsets[3 * from + k] ?? 0);
    });
    const numbers = Uint32Array.from(moved, (from) => vertices[from] ?? 0);
    return {
      POSITION: addAccessor({
        componentType: FLOAT,
        count,
        type: "VEC3",
        ...limits(values, moved.length < count),
        sparse: {
          count: moved.length,
          indices: { bufferView: addView(numbers), componentType: UNSIGNED_INT },
          values: { bufferView: addView(values) },
        },
      }),
    };
  });
  const names = model.expressions.map((expression) => expression.name);
  const content = {
    asset: { version: "2.0", generator: "edge3d" },
    scene: 0,
    scenes: [{ nodes: [0] }],
    nodes: [{ name: "face", mesh: 0 }],
    meshes: [
      {
        name: "face",
        primitives: [{ attributes, indices, material: 0, targets }],
        weights: names.map((name) => weights[name] ?? 0),
        extras: { targetNames: names },
      },
    ],
    materials: [
      {
        name: "face",
        doubleSided: true,
        pbrMetallicRoughness: { metallicFactor: 0, roughnessFactor: 0.85 },
      },
    ],
    accessors,
    bufferViews,
    buffers: [{ byteLength: length }],
  };
  const text = new TextEncoder().encode(JSON.stringify(content));
  const json = new Uint8Array(Math.ceil(text.length / 4) * 4).fill(32); // spaces
  json.set(text);
  const total = 12 + 8 + json.length + 8 + length;
  return new Blob(
    [
      Uint32Array.of(0x46546c67, 2, total, json.length, 0x4e4f534a),
      json,
      Uint32Array.of(length, 0x004e4942),
      ...parts,
    ] as BlobPart[],
    { type: "model/gltf-binary" },
  );
}

// The image's colour at each vertex (V, 3), hidden or not; that of the nearest pixel.
export function vertexColours(image: ImageData, vertices: Float32Array): Uint8Array {
  const colours = new Uint8Array(vertices.length);
  const inside = (value: number, size: number) =>
    Math.min(size - 1, Math.max(0, Math.round(value)));
  for (let i = 0; i < vertices.length; i += 3) {
    const [x, y] = [inside(vertices[i], image.width), inside(vertices[i + 1], image.height)];
    const at = 4 * (y * image.width + x);
    colours.set(image.data.subarray(at, at + 3), i);
  }
  return colours;
}

// Unit normals (V, 3): the triangles' around, weighted by area.
export function normals(points: Float32Array, triangles: Uint32Array): Float32Array {
  const out = new Float32Array(points.length);
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [3 * triangles[t], 3 * triangles[t + 1], 3 * triangles[t + 2]];
    const [ux, uy, uz] = [points[b] - points[a], points[b + 1] - points[a + 1], points[b + 2] - points[a + 2]];
    const [vx, vy, vz] = [points[c] - points[a], points[c + 1] - points[a + 1], points[c + 2] - points[a + 2]];
    const [nx, ny, nz] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const corner of [a, b, c]) {
      out[corner] += nx;
      out[corner + 1] += ny;
      out[corner + 2] += nz;
    }
  }
  for (let i = 0; i < out.length; i += 3) {
    const size = Math.sqrt(out[i] ** 2 + out[i + 1] ** 2 + out[i + 2] ** 2);
    if (size > 0) for (let k = 0; k < 3; k++) out[i + k] /= size;
    else out[i + 2] = 1; // a vertex of no triangle
  }
  return out;
}

// sRGB as glTF's vertex colours: linear light with alpha, 16 bits. Formula: IEC 61966-2-1.
function linearColours(colours: Uint8Array): Uint16Array {
  const out = new Uint16Array((colours.length / 3) * 4).fill(65535);
  colours.forEach((byte, i) => {
    const value = byte / 255;
    const linear = value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    out[4 * Math.floor(i / 3) + (i % 3)] = Math.round(65535 * linear);
  });
  return out;
}

function limits(values: Float32Array, withZero = false): { min: number[]; max: number[] } {
  const [min, max] = withZero
    ? [[0, 0, 0], [0, 0, 0]]
    : [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
  values.forEach((value, i) => {
    min[i % 3] = Math.min(min[i % 3], value);
    max[i % 3] = Math.max(max[i % 3], value);
  });
  return { min, max };
}
