// Finds faces with BlazeFace, as edge3d/detector does: short range answers, back camera proposes.
import type { DetectorEntry } from "./contract";
import { type Box, cropFace, iou } from "./crop";
import { area, around, cropBox, type Detection, size } from "./crop_rule";
import type { Network } from "./network";

const GREY = 127; // the networks' zero

export class Detector {
  // False after a search that went without the network for small faces, which did not load.
  isComplete = true;
  private readonly anchors: [number, number][];

  // `backCamera` is opened when it is first needed, or by `prepare`.
  constructor(
    private readonly shortRange: Network,
    private readonly backCamera: () => Promise<Network>,
    private readonly config: DetectorEntry,
  ) {
    this.anchors = anchors(config.grids);
  }

  // Loads the network for small faces; without it, it is tried again when it is needed.
  async prepare(): Promise<void> {
    await this.backCamera().catch(() => undefined);
  }

  // The faces of an image, the most prominent first.
  async search(image: ImageData): Promise<Detection[]> {
    const { config } = this;
    const longer = Math.max(image.width, image.height);
    const whole = around(image.width / 2, image.height / 2, longer);
    const first = await this.look(this.shortRange, image, whole, config.short_range_hint);
    const clear = (face: Detection) =>
      face.score >= config.sure_score && size(face.box) >= config.clear_size * longer;
    const faces = first.filter(clear);
    faces.push(...(await this.lookedAtAgain(image, this.newFaces(first, faces), 0)));
    let found = this.final(faces, image);
    if (found.some((face) => face.score >= config.sure_score)) return found;

    const margin = around(image.width / 2, image.height / 2, config.margin_window * longer);
    const far = await this.look(this.shortRange, image, margin, config.short_range_hint);
    faces.push(...(await this.lookedAtAgain(image, this.newFaces(far, faces), 0)));
    const backCamera = await this.backCamera().catch(() => undefined);
    this.isComplete = backCamera !== undefined;
    if (backCamera) {
      const small = await this.look(backCamera, image, whole, config.back_camera_hint);
      const proposals = this.newFaces(small, faces);
      faces.push(...(await this.lookedAtAgain(image, proposals, config.proposal_log_odds)));
    }
    found = this.final(faces, image);
    return found;
  }

  // The face that overlaps a crop box most, seen in a window `factor` times as large, or none.
  async lookNear(image: ImageData, box: Box, factor: number): Promise<Detection | undefined> {
    const side = factor * Math.max(box[2] - box[0], box[3] - box[1]);
    const window = around((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, side);
    const faces = await this.look(this.shortRange, image, window, this.config.short_range_hint);
    return faces
      .filter((face) => iou(face.box, box) > 0 && this.isInside(face, image))
      .sort((a, b) => iou(b.box, box) - iou(a.box, box))[0];
  }

  // The crop box of a face.
  cropBox(face: Detection): Box {
    return cropBox(face, this.config);
  }

  private async look(
    network: Network,
    image: ImageData,
    window: Box,
    minScore: number,
  ): Promise<Detection[]> {
    const input = network.inputShape[1];
    const { pixels, square } = cropFace(image, window, input, GREY);
    const outputs = await network.run(Float32Array.from(pixels, (value) => value / 127.5 - 1));
    const raw = outputs[network.outputShapes.findIndex((shape) => shape.at(-1) === 16)];
    const logits = outputs[network.outputShapes.findIndex((shape) => shape.at(-1) === 1)];
    const threshold = logOdds(minScore);
    const faces: Detection[] = [];
    this.anchors.forEach(([ax, ay], i) => {
      if (logits[i] <= threshold) return;
      const value = (k: number) => raw[16 * i + k] / input;
      const at = (k: number): [number, number] => [
        square.x + square.side * (value(2 * k) + ax),
        square.y + square.side * (value(2 * k + 1) + ay),
      ];
      const [x, y] = at(0);
      const [w, h] = [square.side * value(2), square.side * value(3)];
      faces.push({
        box: [x - w / 2, y - h / 2, x + w / 2, y + h / 2],
        score: 1 / (1 + Math.exp(-Math.min(logits[i], 12))),
        points: [2, 3, 4, 5, 6, 7].map(at),
      });
    });
    return this.blended(faces);
  }

  // One face for each group of overlapping ones: their mean, weighted by score.
  private blended(faces: Detection[]): Detection[] {
    let left = faces.sort((a, b) => b.score - a.score);
    const found: Detection[] = [];
    while (left.length) {
      const best = left[0];
      const same = (face: Detection) =>
        face === best || iou(face.box, best.box) > this.config.same_face_iou;
      const blend = mean(left.filter(same), best.score);
      if (size(blend.box) > 0) found.push(blend);
      left = left.filter((face) => !same(face));
    }
    return found;
  }

  // The candidates that looks from nearby confirm; `doubt` is taken off the score's log-odds.
  private async lookedAtAgain(
    image: ImageData,
    candidates: Detection[],
    doubt: number,
  ): Promise<Detection[]> {
    const { config } = this;
    const confirmed: Detection[] = [];
    for (const { box } of candidates) {
      const side = Math.max(box[2] - box[0], box[3] - box[1]);
      const seen: Detection[] = [];
      for (const factor of config.second_looks) {
        const window = around((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, factor * side);
        const faces = await this.look(this.shortRange, image, window, config.short_range_hint);
        const same = faces.find((face) => iou(face.box, box) > config.same_face_iou);
        if (same) seen.push(same);
        if (!seen.length) break;
      }
      if (!seen.length) continue;
      const unseen = config.second_looks.length - seen.length;
      const odds = seen.reduce((sum, face) => sum + logOdds(face.score), 0);
      const total = (odds + unseen * logOdds(config.unseen_score)) / config.second_looks.length;
      const score = 1 / (1 + Math.exp(doubt - total));
      if (score >= config.min_score) confirmed.push(mean(seen, score));
    }
    return confirmed;
  }

  private newFaces(faces: Detection[], known: Detection[]): Detection[] {
    const limit = this.config.same_face_iou;
    return faces.filter((face) => known.every((other) => iou(face.box, other.box) <= limit));
  }

  // Without repeats and faces within faces, by score times size.
  private final(faces: Detection[], image: ImageData): Detection[] {
    const kept: Detection[] = [];
    for (const face of [...faces].sort((a, b) => b.score - a.score)) {
      const same = (other: Detection) => {
        const smaller = Math.min(area(face.box), area(other.box));
        return (
          iou(face.box, other.box) > this.config.same_face_iou ||
          common(face.box, other.box) / Math.max(smaller, 1e-9) > this.config.inside_other
        );
      };
      if (this.isInside(face, image) && !kept.some(same)) kept.push(face);
    }
    return kept.sort((a, b) => b.score * size(b.box) - a.score * size(a.box));
  }

  private isInside(face: Detection, image: ImageData): boolean {
    const inside = common(face.box, [0, 0, image.width, image.height]);
    return inside / Math.max(area(face.box), 1e-9) >= this.config.min_inside;
  }
}

// The centres of an SSD's cells, row by row, in 0..1 of the window.
function anchors(grids: [number, number][]): [number, number][] {
  const points: [number, number][] = [];
  for (const [cells, repeats] of grids) {
    for (let y = 0; y < cells; y++) {
      for (let x = 0; x < cells; x++) {
        for (let i = 0; i < repeats; i++) points.push([(x + 0.5) / cells, (y + 0.5) / cells]);
      }
    }
  }
  return points;
}

function mean(faces: Detection[], score: number): Detection {
  const total = faces.reduce((sum, face) => sum + face.score, 0);
  const blend = (value: (face: Detection) => number) =>
    faces.reduce((sum, face) => sum + face.score * value(face), 0) / total;
  return {
    box: [0, 1, 2, 3].map((k) => blend((face) => face.box[k])) as Box,
    score,
    points: faces[0].points.map((_, i) => [
      blend((face) => face.points[i][0]),
      blend((face) => face.points[i][1]),
    ]),
  };
}

function common(a: Box, b: Box): number {
  return area([
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ]);
}

function logOdds(score: number): number {
  return Math.log(score / (1 - score));
}
