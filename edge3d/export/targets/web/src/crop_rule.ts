// From a detector's box to the crop box that the network is trained on, as
// edge3d/detector/crop_rule.py: offset and side are linear in the keypoints.
import type { DetectorEntry } from "./contract";
import type { Box } from "./crop";

export interface Detection {
  box: Box;
  score: number;
  points: [number, number][]; // right eye, left eye, nose, mouth, right ear, left ear; box pixels
}

export function cropBox(
  face: Detection,
  config: Pick<DetectorEntry, "crop_rule" | "crop_log_side_range">,
): Box {
  const { crop_rule: rule, crop_log_side_range: range } = config;
  const [x0, y0, x1, y1] = face.box;
  const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
  const unit = size(face.box);
  const points = face.points.map(([px, py]) => [(px - x) / unit, (py - y) / unit]);
  const [rightEye, leftEye, nose, mouth, rightEar, leftEar] = points;
  const middle = (a: number[], b: number[], k: number) => (a[k] + b[k]) / 2;
  const apart = (a: number[], b: number[], k: number) => (b[k] - a[k]) / 2;
  const features = (k: 0 | 1) => [
    middle(rightEye, leftEye, k),
    nose[k],
    mouth[k],
    middle(rightEar, leftEar, k),
    apart(rightEye, leftEye, 1 - k),
    apart(rightEar, leftEar, 1 - k),
  ];
  const odd = features(0);
  const even = [1, ...features(1)];
  const centre = [x + unit * dot(odd, rule.offset_x), y + unit * dot(even, rule.offset_y)];
  const log = Math.min(range[1], Math.max(range[0], dot(even, rule.log_side)));
  return around(centre[0], centre[1], unit * Math.exp(log));
}

export function around(x: number, y: number, side: number): Box {
  return [x - side / 2, y - side / 2, x + side / 2, y + side / 2];
}

export function area(box: Box): number {
  return Math.max(0, box[2] - box[0]) * Math.max(0, box[3] - box[1]);
}

// The side of the square with the box's area.
export function size(box: Box): number {
  return Math.sqrt(area(box));
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}
