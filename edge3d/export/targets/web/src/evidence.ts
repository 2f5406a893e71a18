// What raises the doubt that a followed face is still there, as edge3d/tracker/evidence.py: the
// landmarks' size and place in their crop, and their change of shape.
import type { TrackingEntry } from "./contract";
import { type Box, landmarkBox } from "./crop";

// `margin`: of the contract's crop; `previous`: the landmarks of the frame before.
export function isDoubtful(
  config: TrackingEntry,
  margin: number,
  box: Box,
  landmarks: Float32Array,
  previous?: Float32Array,
): boolean {
  const own = landmarkBox(landmarks, margin);
  const side = box[2] - box[0];
  const shift = (axis: 0 | 1) =>
    Math.abs(own[axis] + own[axis + 2] - box[axis] - box[axis + 2]) / 2 / side;
  return (
    Math.abs(Math.log((own[2] - own[0]) / side)) > config.max_log_size ||
    Math.max(shift(0), shift(1)) > config.max_shift ||
    (previous !== undefined &&
      shapeChange(landmarks, previous, margin) > config.max_shape_change)
  );
}

// How much the landmarks' shape in the image changed, in crop sides.
export function shapeChange(
  landmarks: Float32Array,
  previous: Float32Array,
  margin: number,
): number {
  const [a, b] = [shape(landmarks, margin), shape(previous, margin)];
  const squares = a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0);
  return Math.sqrt(squares / (landmarks.length / 3));
}

// The landmarks' x and y about their mean, in sides of their crop.
function shape(landmarks: Float32Array, margin: number): number[] {
  const box = landmarkBox(landmarks, margin);
  const count = landmarks.length / 3;
  const mean = [0, 0];
  for (let i = 0; i < landmarks.length; i += 3) {
    mean[0] += landmarks[i] / count;
    mean[1] += landmarks[i + 1] / count;
  }
  const values: number[] = [];
  for (let i = 0; i < landmarks.length; i += 3) {
    for (const k of [0, 1]) values.push((landmarks[i + k] - mean[k]) / (box[2] - box[0]));
  }
  return values;
}
