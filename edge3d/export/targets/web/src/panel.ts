// Live bars of pose and blendshapes, and the frame-rate meter.
import type { Face } from "./reconstructor";

const TEXT_EVERY_MS = 120; // numbers that change faster cannot be read
const POSE_RANGE_DEG = 90;

interface Row {
  bar: HTMLElement;
  number: HTMLElement;
}

export class Panel {
  private readonly pose: Row[];
  private readonly blendshapes: Map<string, Row>;
  private textMs = -Infinity;
  private isEmpty = true;

  constructor(pose: HTMLElement, blendshapes: HTMLElement, names: string[]) {
    this.pose = ["Yaw", "Pitch", "Roll"].map((name) => addRow(pose, name, true));
    this.blendshapes = new Map(names.map((name) => [name, addRow(blendshapes, name, false)]));
  }

  // Shows a face, or empty bars where there is none.
  show(face: Face | undefined): void {
    const now = performance.now();
    const withText = !face || this.isEmpty || now - this.textMs > TEXT_EVERY_MS;
    this.isEmpty = !face;
    if (withText) this.textMs = now;
    const angles = face ? [face.pose.yawDeg, face.pose.pitchDeg, face.pose.rollDeg] : [];
    this.pose.forEach((row, i) => {
      const share = Math.min(1, Math.max(-1, (angles[i] ?? 0) / POSE_RANGE_DEG));
      row.bar.style.transform = `scaleX(${share.toFixed(3)})`;
      if (withText) row.number.textContent = face ? `${angles[i].toFixed(1)}°` : "–";
    });
    for (const [name, row] of this.blendshapes) {
      const weight = face?.blendshapes[name] ?? 0;
      row.bar.style.transform = `scaleX(${weight.toFixed(3)})`;
      if (withText) row.number.textContent = face ? weight.toFixed(2) : "–";
    }
  }
}

function addRow(table: HTMLElement, name: string, signed: boolean): Row {
  const row = document.createElement("tr");
  const label = document.createElement("th");
  label.scope = "row";
  label.textContent = name;
  const number = document.createElement("td");
  number.className = "number";
  number.textContent = "–";
  const cell = document.createElement("td");
  cell.setAttribute("aria-hidden", "true"); // the number says it
  const bar = document.createElement("div");
  bar.className = signed ? "bar signed" : "bar";
  const fill = document.createElement("div");
  bar.append(fill);
  cell.append(bar);
  row.append(label, cell, number);
  table.append(row);
  return { bar: fill, number };
}

// Frames per second over the last second, and the milliseconds that one takes.
export class RateMeter {
  private times: number[] = [];
  private workMs = 0;

  // `startMs` and `endMs` of the work on one frame; returns the text to show.
  frame(startMs: number, endMs: number): string {
    this.times = [...this.times.filter((time) => endMs - time < 1000), endMs];
    this.workMs += 0.1 * (endMs - startMs - this.workMs);
    const span = endMs - this.times[0];
    const rate = span > 0 ? (1000 * (this.times.length - 1)) / span : 0;
    return `${rate.toFixed(0)} frames/s, ${this.workMs.toFixed(0)} ms each`;
  }
}
