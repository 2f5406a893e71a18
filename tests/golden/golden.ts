// Compares the web app's functions with the golden vectors, in Node:
//     node golden.js VECTORS DATA
// VECTORS is tests/golden, DATA a folder with contract.json, app.json and face_model.bin.
// Prints the largest difference of each kind as JSON; tests/golden/test_golden.py judges them.
import { readFileSync } from "node:fs";
import { type Box, cropFace, iou, landmarkBox } from "@src/crop";
import { cropBox } from "@src/crop_rule";
import { Decoder } from "@src/decode";
import { isDoubtful, shapeChange } from "@src/evidence";
import { readFaceModel } from "@src/face_model";
import { Smoother } from "@src/smoothing";

const [vectors, data] = process.argv.slice(2);
const json = (path: string) => JSON.parse(readFileSync(path, "utf-8"));
const bytes = (name: string) => new Uint8Array(readFileSync(`${vectors}/${name}`));
const config = json(`${data}/app.json`);
const contract = json(`${data}/contract.json`);
const file = readFileSync(`${data}/${config.face_model.file}`);
const content = file.buffer.slice(file.byteOffset, file.byteOffset + file.length) as ArrayBuffer;
const decoder = new Decoder(contract, readFaceModel(content, config.face_model));
const toFrame = ([scale, x, y]: number[]) => ({ scale, x, y });

const differences: Record<string, number> = {};

function compare(kind: string, found: ArrayLike<number>, wanted: ArrayLike<number>): void {
  if (found.length !== wanted.length) throw new Error(`${kind}: ${found.length} numbers, not ${wanted.length}`);
  let most = differences[kind] ?? 0;
  for (let i = 0; i < found.length; i++) most = Math.max(most, Math.abs(found[i] - wanted[i]));
  differences[kind] = most;
}

// Every `step`th of points (N, 3).
function sparse(points: Float32Array, step: number): number[] {
  const kept: number[] = [];
  for (let i = 0; i < points.length; i += 3 * step) kept.push(...points.subarray(i, i + 3));
  return kept;
}

function crops(): void {
  const { width, height, cases } = json(`${vectors}/crop.json`);
  const rgb = bytes("crop_image.rgb");
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
  const image = { data: rgba, width, height } as ImageData;
  const wanted = bytes("crop_pixels.rgb");
  const size = contract.crop.size_px;
  for (const [i, one] of cases.entries()) {
    const { pixels, square, toFrame: { scale, x, y } } = cropFace(image, one.box, size);
    compare("square", [square.x, square.y, square.x + square.side, square.y + square.side], one.square);
    compare("to_frame", [scale, x, y], one.to_frame);
    const kind = square.side < size ? "enlarged" : "shrunk";
    compare(kind, pixels, wanted.subarray(i * pixels.length, (i + 1) * pixels.length));
  }
}

function decoding(): void {
  const golden = json(`${vectors}/decode.json`);
  const place = toFrame(golden.to_frame);
  for (const one of golden.cases) {
    const params = decoder.params(Float32Array.from(one.whitened));
    const landmarks = decoder.landmarks(params, place);
    const { yawDeg, pitchDeg, rollDeg } = decoder.pose(params);
    compare("params", params, one.params);
    compare("landmarks", landmarks, one.landmarks);
    compare("vertices", sparse(decoder.vertices(params, place), golden.vertex_step), one.vertices);
    compare("angles", [yawDeg, pitchDeg, rollDeg], one.angles);
    compare("own_box", landmarkBox(landmarks, contract.crop.margin), one.own_box);
  }
}

function smoothing(): void {
  const golden = json(`${vectors}/smoothing.json`);
  const smoother = new Smoother(decoder, {
    ...config.smoothing,
    identity_frames: golden.identity_frames,
  });
  golden.params.forEach((params: number[], i: number) => {
    const given = Float32Array.from(params);
    const found = smoother.smooth(given, toFrame(golden.to_frame), golden.times_s[i]);
    compare("smoothed", found, golden.smoothed[i]);
  });
  compare("identity_shape", sparse(smoother.identityShape!, golden.vertex_step), golden.identity_shape);
}

function boxes(): void {
  const golden = json(`${vectors}/boxes.json`);
  const all: Box[] = golden.cases.map((one: { box: Box }) => one.box);
  for (const [i, one] of golden.cases.entries()) {
    // Keypoints have the first pixel's centre at 0, the app's detector its corner.
    const points = [0, 1, 2, 3, 4, 5].map((k): [number, number] => [
      one.keypoints[2 * k] + 0.5,
      one.keypoints[2 * k + 1] + 0.5,
    ]);
    compare("crop_box", cropBox({ box: one.box, score: 0.9, points }, config.detector), one.crop_box);
    compare("iou", all.map((box) => iou(one.box, box)), golden.ious[i]);
  }
}

function following(): void {
  const { margin } = contract.crop;
  for (const one of json(`${vectors}/following.json`).cases) {
    const [now, previous] = [Float32Array.from(one.landmarks), Float32Array.from(one.previous)];
    const doubtful = (before?: Float32Array) =>
      Number(isDoubtful(config.tracking, margin, one.box, now, before));
    compare("doubtful", [doubtful(), doubtful(previous)], [one.doubtful_alone, one.doubtful].map(Number));
    compare("shape_change", [shapeChange(now, previous, margin)], [one.shape_change]);
  }
}

crops();
decoding();
smoothing();
boxes();
following();
console.log(JSON.stringify(differences));
