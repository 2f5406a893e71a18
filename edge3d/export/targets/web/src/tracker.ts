// Follows one face through a video: the next crop is the box of the last landmarks, moved on with
// their motion. That the face is still there is told as edge3d/tracker does: landmarks that
// shrink, jump or change their shape raise doubt, and then, and now and then without, the small
// detector looks at the place.
import type { AppConfig, TrackingEntry } from "./contract";
import { type Box, iou } from "./crop";
import { isDoubtful } from "./evidence";
import type { Face, Reconstructor, Seen } from "./reconstructor";
import { Smoother } from "./smoothing";

export class Tracker {
  smoothing = true;
  private readonly config: TrackingEntry;
  private smoother: Smoother;
  private seen: Seen | undefined;
  private seenS = 0;
  private lookedS = 0;
  private searchedS = -Infinity;
  private failedLooks = 0;
  private velocity: [number, number] = [0, 0]; // px/s

  constructor(
    private readonly reconstructor: Reconstructor,
    private readonly app: AppConfig,
  ) {
    this.config = app.tracking;
    this.smoother = new Smoother(reconstructor.decoder, app.smoothing);
  }

  reset(): void {
    this.seen = undefined;
    this.searchedS = -Infinity;
  }

  // The face of the next frame, or undefined. Times rise.
  async update(image: ImageData, timeS: number): Promise<Face | undefined> {
    if (this.seen) {
      const seen = await this.confirmed(this.seen, image, timeS);
      if (seen) this.move(this.seen, seen, timeS);
      else this.reset();
    }
    if (!this.seen && timeS - this.searchedS >= this.config.search_every_s) {
      this.searchedS = timeS;
      await this.search(image, timeS);
    }
    if (!this.seen) return undefined;
    return this.smoothing ? this.smoothed(this.seen, timeS) : this.reconstructor.face(this.seen);
  }

  private smoothed(seen: Seen, timeS: number): Face {
    const params = this.smoother.smooth(seen.params, seen.toFrame, timeS);
    const landmarks = this.reconstructor.decoder.landmarks(params, seen.toFrame);
    return this.reconstructor.face({ ...seen, params, landmarks }, this.smoother.identityShape);
  }

  private async confirmed(
    last: Seen,
    image: ImageData,
    timeS: number,
  ): Promise<Seen | undefined> {
    const { config, reconstructor } = this;
    const seen = await reconstructor.look(image, this.nextBox(last, timeS));
    const doubtful = this.isDoubtful(seen, last.landmarks);
    if (!doubtful && !this.failedLooks && timeS - this.lookedS < config.look_every_s) return seen;
    const found = await reconstructor.detector.lookNear(
      image,
      doubtful ? seen.box : seen.ownBox,
      doubtful ? config.wide_look : config.close_look,
    );
    if (!found || found.score < (doubtful ? config.doubtful_score : config.followed_score)) {
      this.failedLooks += 1;
      return doubtful || this.failedLooks > 1 ? undefined : seen;
    }
    const place = reconstructor.detector.cropBox(found);
    let confirmed = seen;
    if (iou(place, seen.ownBox) < config.same_place_iou) {
      confirmed = await reconstructor.look(image, place);
      if (this.isDoubtful(confirmed)) return undefined;
    }
    this.failedLooks = 0;
    this.lookedS = timeS;
    return confirmed;
  }

  private async search(image: ImageData, timeS: number): Promise<void> {
    const { detector } = this.reconstructor;
    const found = (await detector.search(image))[0];
    if (!found) return;
    this.seen = await this.reconstructor.look(image, detector.cropBox(found));
    this.seenS = this.lookedS = timeS;
    this.velocity = [0, 0];
    this.failedLooks = 0;
    this.smoother = new Smoother(this.reconstructor.decoder, this.app.smoothing);
  }

  private move(last: Seen, seen: Seen, timeS: number): void {
    const step = timeS - this.seenS;
    const kept = step <= this.config.max_step_s ? 1 - this.config.new_velocity : 0;
    const middle = (box: Box, axis: 0 | 1) => (box[axis] + box[axis + 2]) / 2;
    for (const axis of [0, 1] as const) {
      const motion = middle(seen.ownBox, axis) - middle(last.ownBox, axis);
      this.velocity[axis] = kept * this.velocity[axis] + ((1 - kept) * motion) / step;
    }
    this.seen = seen;
    this.seenS = timeS;
  }

  private nextBox(last: Seen, timeS: number): Box {
    const step = timeS - this.seenS;
    const [dx, dy] = step <= this.config.max_step_s ? this.velocity.map((v) => v * step) : [0, 0];
    const [x0, y0, x1, y1] = last.ownBox;
    return [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
  }

  private isDoubtful(seen: Seen, previous?: Float32Array): boolean {
    const { margin } = this.reconstructor.contract.crop;
    return isDoubtful(this.config, margin, seen.box, seen.landmarks, previous);
  }
}
