// The crop: a whole-pixel square of the image, resized as OpenCV's INTER_AREA and INTER_LINEAR
// do; the same numbers as edge3d/crop.py.
//
// Boxes are [x0, y0, x1, y1] in pixels, half-open; points have the first pixel's centre at 0.

export type Box = [number, number, number, number];

export interface Square {
  x: number;
  y: number;
  side: number;
}

// From crop pixels to image pixels: scale * point + (x, y).
export interface ToFrame {
  scale: number;
  x: number;
  y: number;
}

export interface Crop {
  pixels: Uint8Array<ArrayBuffer>; // (size, size, 3) RGB
  square: Square;
  toFrame: ToFrame;
}

// Ties go to the even number, as in Python's round and OpenCV's saturate_cast.
export function rounded(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

// The whole-pixel square of a box of any aspect: the shorter side grows to the longer; one that
// stops at the image's border grows outwards.
export function squareBox(box: Box, width: number, height: number): Square {
  const [x0, y0, x1, y1] = box;
  if (!box.every(Number.isFinite) || x1 <= x0 || y1 <= y0) {
    throw new Error(`box ${box} is not [x0, y0, x1, y1] in pixels with x0 < x1 and y0 < y1`);
  }
  const side = Math.max(1, rounded(Math.max(x1 - x0, y1 - y0)));
  const low = (start: number, stop: number, limit: number): number => {
    const short = side - (stop - start) > 1;
    if (short && start <= 0 && stop < limit) return rounded(stop) - side;
    if (short && stop >= limit && start > 0) return rounded(start);
    return rounded(0.5 * (start + stop) - 0.5 * side);
  };
  return { x: low(x0, x1, width), y: low(y0, y1, height), side };
}

// Cuts a box of an image; what lies outside has the value of `padding`.
export function cropFace(image: ImageData, box: Box, size: number, padding = 0): Crop {
  const square = squareBox(box, image.width, image.height);
  const pixels = new Uint8Array(size * size * 3);
  if (square.side < size) grow(image, square, pixels, size, padding);
  else if (square.side % size === 0) shrinkWhole(image, square, pixels, size, padding);
  else shrink(image, square, pixels, size, padding);
  const scale = square.side / size;
  const offset = 0.5 * scale - 0.5;
  return { pixels, square, toFrame: { scale, x: square.x + offset, y: square.y + offset } };
}

// The protocol's box of landmarks (N, 3): a square about their box's middle, `margin` times its
// longer side.
export function landmarkBox(landmarks: Float32Array, margin: number): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < landmarks.length; i += 3) {
    left = Math.min(left, landmarks[i]);
    right = Math.max(right, landmarks[i]);
    top = Math.min(top, landmarks[i + 1]);
    bottom = Math.max(bottom, landmarks[i + 1]);
  }
  const half = 0.5 * margin * Math.max(right - left, bottom - top);
  const [x, y] = [0.5 * (left + right) + 0.5, 0.5 * (top + bottom) + 0.5];
  return [x - half, y - half, x + half, y + half];
}

export function iou(a: Box | number[], b: Box | number[]): number {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const common = width * height;
  const areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]);
  return common / Math.max(areas - common, 1e-9);
}

const fround = Math.fround;

// Area interpolation's weights (OpenCV's computeResizeAreaTab): the sources of each target.
function areaTable(side: number, size: number): { from: Int32Array; source: number[]; weight: number[] } {
  const scale = side / size;
  const from = new Int32Array(size + 1);
  const source: number[] = [];
  const weight: number[] = [];
  const add = (at: number, share: number) => {
    source.push(at);
    weight.push(fround(share));
  };
  for (let target = 0; target < size; target++) {
    const start = target * scale;
    const stop = start + scale;
    const cell = Math.min(scale, side - start);
    const last = Math.min(Math.floor(stop), side - 1);
    const first = Math.min(Math.ceil(start), last);
    if (first - start > 1e-3) add(first - 1, (first - start) / cell);
    for (let at = first; at < last; at++) add(at, 1 / cell);
    if (stop - last > 1e-3) add(last, Math.min(stop - last, 1, cell) / cell);
    from[target + 1] = source.length;
  }
  return { from, source, weight };
}

// All sums are in single precision, as OpenCV's.
function shrink(image: ImageData, square: Square, out: Uint8Array, size: number, padding: number): void {
  const { data, width, height } = image;
  const { from, source, weight } = areaTable(square.side, size);
  const row = new Float32Array(3 * size);
  const sum = new Float32Array(3 * size);
  for (let y = 0; y < size; y++) {
    sum.fill(0);
    for (let j = from[y]; j < from[y + 1]; j++) {
      const line = square.y + source[j];
      if (line < 0 || line >= height) {
        row.fill(padding);
      } else {
        for (let x = 0; x < size; x++) {
          let [red, green, blue] = [0, 0, 0];
          for (let i = from[x]; i < from[x + 1]; i++) {
            const column = square.x + source[i];
            const inside = column >= 0 && column < width;
            const at = 4 * (line * width + column);
            const share = weight[i];
            red = fround(red + fround((inside ? data[at] : padding) * share));
            green = fround(green + fround((inside ? data[at + 1] : padding) * share));
            blue = fround(blue + fround((inside ? data[at + 2] : padding) * share));
          }
          row[3 * x] = red;
          row[3 * x + 1] = green;
          row[3 * x + 2] = blue;
        }
      }
      const share = weight[j];
      for (let i = 0; i < row.length; i++) sum[i] = sum[i] + fround(share * row[i]);
    }
    for (let i = 0; i < sum.length; i++) out[3 * size * y + i] = Math.min(255, rounded(sum[i]));
  }
}

// Area interpolation where the scale is a whole number, 1 among them.
function shrinkWhole(image: ImageData, square: Square, out: Uint8Array, size: number, padding: number): void {
  const { data, width, height } = image;
  const step = square.side / size;
  const share = fround(1 / (step * step));
  const sum = [0, 0, 0];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      sum.fill(0);
      for (let j = 0; j < step; j++) {
        const line = square.y + y * step + j;
        for (let i = 0; i < step; i++) {
          const column = square.x + x * step + i;
          const inside = line >= 0 && line < height && column >= 0 && column < width;
          const at = 4 * (line * width + column);
          for (let c = 0; c < 3; c++) sum[c] += inside ? data[at + c] : padding;
        }
      }
      for (let c = 0; c < 3; c++) {
        out[3 * (y * size + x) + c] =
          step === 2 ? (sum[c] + 2) >> 2 : rounded(fround(sum[c] * share));
      }
    }
  }
}

// Bilinear interpolation of bytes: 11 bits after the point along a row, then a column.
function grow(image: ImageData, square: Square, out: Uint8Array, size: number, padding: number): void {
  const { data, width, height } = image;
  const side = square.side;
  const scale = side / size;
  const place = (target: number): [number, number, number] => {
    let at = fround((target + 0.5) * scale - 0.5);
    let source = Math.floor(at);
    at = fround(at - source);
    if (source < 0) [source, at] = [0, 0];
    if (source >= side - 1) [source, at] = [side - 1, 0];
    return [source, rounded(fround(fround(1 - at) * 2048)), rounded(fround(at * 2048))];
  };
  const places = Array.from({ length: size }, (_, target) => place(target));
  const value = (x: number, y: number, c: number): number => {
    const [column, line] = [square.x + x, square.y + y];
    const inside = line >= 0 && line < height && column >= 0 && column < width;
    return inside ? data[4 * (line * width + column) + c] : padding;
  };
  for (let y = 0; y < size; y++) {
    const [top, above, below] = places[y];
    const bottom = Math.min(top + 1, side - 1);
    for (let x = 0; x < size; x++) {
      const [left, before, after] = places[x];
      const right = Math.min(left + 1, side - 1);
      for (let c = 0; c < 3; c++) {
        const first = value(left, top, c) * before + value(right, top, c) * after;
        const second = value(left, bottom, c) * before + value(right, bottom, c) * after;
        const mixed = ((above * (first >> 4)) >> 16) + ((below * (second >> 4)) >> 16);
        out[3 * (y * size + x) + c] = (mixed + 2) >> 2;
      }
    }
  }
}
