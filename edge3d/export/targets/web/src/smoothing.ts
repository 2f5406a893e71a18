// Smoothing of one face over time, as edge3d/tracker/smoothing.py: One-Euro filters (G. Casiez et
// al., CHI 2012) for rotation, place, size and each expression; the identity is a mean over frontal
// frames that then rests.
import type { OneEuro, SmoothingEntry } from "./contract";
import type { ToFrame } from "./crop";
import type { Decoder } from "./decode";

const RESTED_STEP_S = 1; // of the first frame

export class Smoother {
  // The identity's shape (V, 3) in model units, once it rests.
  identityShape: Float32Array | undefined;
  private readonly faceSize: number; // model units
  private identity: number[] | undefined;
  private frames = 0;
  private timeS: number | undefined;
  private rotation!: RotationFilter;
  private place!: VectorFilter;
  private size!: VectorFilter;
  private expression!: VectorFilter;

  constructor(
    private readonly decoder: Decoder,
    private readonly config: SmoothingEntry,
  ) {
    const mean = decoder.model.landmarkMean;
    const extent = (axis: number) => {
      const values = mean.filter((_, i) => i % 3 === axis);
      return Math.max(...values) - Math.min(...values);
    };
    this.faceSize = Math.max(extent(0), extent(1));
    this.restart();
  }

  // The smoothed parameters (P,) for the same crop. Times rise.
  smooth(params: Float32Array, toFrame: ToFrame, timeS: number): Float32Array {
    const step = this.timeS === undefined ? RESTED_STEP_S : timeS - this.timeS;
    if (step > this.config.restart_after_s) this.restart();
    this.timeS = timeS;
    const { decoder } = this;
    const changed = params.slice();
    const part = (name: string) => decoder.part(changed, name);
    const rotation = decoder.rotation(params);
    part("identity").set(this.settled([...part("identity")], Math.max(rotation[8], 0)));
    part("expression").set(this.expression.next([...part("expression")], step));
    const sizePx = part("scale")[0] * toFrame.scale * this.faceSize;
    const shift = part("translation");
    const placePx = [0, 1].map((k) => shift[k] * toFrame.scale + [toFrame.x, toFrame.y][k]);
    const [logSize] = this.size.next([Math.log(sizePx)], step);
    // Speed in face sizes: a face near the camera and one far away are smoothed alike.
    const [x, y] = this.place.next(placePx, step, sizePx);
    part("rotation").set(this.rotation.next(rotation, step).slice(0, 6));
    part("scale")[0] *= Math.exp(logSize) / sizePx;
    shift.set([(x - toFrame.x) / toFrame.scale, (y - toFrame.y) / toFrame.scale]);
    return changed;
  }

  private restart(): void {
    this.rotation = new RotationFilter(this.config.rotation);
    this.place = new VectorFilter(this.config.place, true);
    this.size = new VectorFilter(this.config.size, true);
    this.expression = new VectorFilter(this.config.expression, false);
  }

  // The mean identity so far; held once it rests on enough frames.
  private settled(identity: number[], weight: number): number[] {
    const mean = (this.identity ??= identity.map(() => 0));
    if (this.identityShape) return mean;
    this.frames += weight;
    const share = weight / Math.max(this.frames, 1e-9);
    identity.forEach((value, i) => {
      mean[i] += share * (value - mean[i]);
    });
    if (this.frames >= this.config.identity_frames) {
      this.identityShape = this.decoder.shapeOf(mean);
    }
    return mean;
  }
}

class VectorFilter {
  private value: number[] | undefined;
  private last: number[] = [];
  private speed: number[] = [];

  // `joint`: one speed for the whole vector, its length, or one for each component.
  constructor(
    private readonly constants: OneEuro,
    private readonly joint: boolean,
  ) {}

  // `unit`: what speeds are divided by before they meet beta.
  next(given: number[], step: number, unit = 1): number[] {
    if (!this.value) {
      this.value = this.last = given;
      this.speed = given.map(() => 0);
      return given;
    }
    const rate = share(this.constants.speed_cutoff_hz, step);
    this.speed = this.speed.map((speed, i) => speed + rate * ((given[i] - this.last[i]) / step - speed));
    this.last = given;
    const whole = Math.hypot(...this.speed);
    this.value = this.value.map((value, i) => {
      const speed = this.joint ? whole : Math.abs(this.speed[i]);
      const cutoff = this.constants.min_cutoff_hz + (this.constants.beta * speed) / unit;
      return value + share(cutoff, step) * (given[i] - value);
    });
    return this.value;
  }
}

// Along the shortest turn; speeds in rad/s. Rotations are 9 numbers, by rows.
class RotationFilter {
  private value: number[] | undefined;
  private last: number[] = [];
  private speed = [0, 0, 0];

  constructor(private readonly constants: OneEuro) {}

  next(given: number[], step: number): number[] {
    if (!this.value) {
      this.value = this.last = given;
      return given;
    }
    const turn = turnBetween(this.last, given);
    const rate = share(this.constants.speed_cutoff_hz, step);
    this.speed = this.speed.map((speed, k) => speed + rate * (turn[k] / step - speed));
    this.last = given;
    const cutoff = this.constants.min_cutoff_hz + this.constants.beta * Math.hypot(...this.speed);
    const taken = share(cutoff, step);
    const rest = turnBetween(this.value, given).map((angle) => taken * angle);
    this.value = product(rotationOf(rest), this.value);
    return this.value;
  }
}

// How much of the new value a first-order low-pass takes in one step, 0..1.
function share(cutoffHz: number, stepS: number): number {
  const turns = 2 * Math.PI * cutoffHz * stepS;
  return turns / (turns + 1);
}

function product(a: number[], b: number[]): number[] {
  return a.map((_, i) => {
    const [row, column] = [3 * Math.floor(i / 3), i % 3];
    return a[row] * b[column] + a[row + 1] * b[3 + column] + a[row + 2] * b[6 + column];
  });
}

// The rotation vector, radians, that turns `start` into `end`; not for half a turn, which no head
// makes from one frame to the next.
function turnBetween(start: number[], end: number[]): number[] {
  const r = product(end, start.map((_, i) => start[3 * (i % 3) + Math.floor(i / 3)]));
  const axis = [r[7] - r[5], r[2] - r[6], r[3] - r[1]]; // 2 sin(angle) long
  const sine = Math.hypot(...axis) / 2;
  const angle = Math.atan2(sine, (r[0] + r[4] + r[8] - 1) / 2);
  const scale = sine > 1e-9 ? angle / sine / 2 : 0.5;
  return axis.map((value) => scale * value);
}

// Rodrigues' formula.
function rotationOf(vector: number[]): number[] {
  const angle = Math.hypot(...vector);
  if (angle < 1e-12) return [1, 0, 0, 0, 1, 0, 0, 0, 1];
  const [x, y, z] = vector.map((value) => value / angle);
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const d = 1 - c;
  return [
    c + d * x * x, d * x * y - s * z, d * x * z + s * y,
    d * x * y + s * z, c + d * y * y, d * y * z - s * x,
    d * x * z - s * y, d * y * z + s * x, c + d * z * z,
  ];
}
