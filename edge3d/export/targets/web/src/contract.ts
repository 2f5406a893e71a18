// What the model file says of itself (contract.json) and of its surroundings (app.json).

export interface Contract {
  schema: number;
  architecture: string;
  precision: string;
  input: {
    name: string;
    shape: [number, number, number];
    layout: string;
    dtype: string;
    colour: string;
    value_range: [number, number];
  };
  crop: {
    box: string;
    margin: number;
    size_px: number;
    pixel_centre: string;
    interpolation: string;
    padding: string;
  };
  outputs: { name: string; shape: number[]; frame: string; unit: string }[];
  parameters: {
    camera: string;
    slices: Record<string, [number, number]>;
    mean: number[];
    std: number[];
  };
  face_model: { name: string; sha256: string };
}

export interface ArrayEntry {
  dtype: "float32" | "float16" | "uint32";
  shape: number[];
  offset: number; // bytes
}

export interface FaceModelEntry {
  file: string;
  name: string;
  sha256: string;
  unit_mm: number;
  expression_names: string[];
  expression_bounds: [number, number];
  arrays: Record<string, ArrayEntry>;
}

export interface DetectorEntry {
  short_range: string;
  back_camera: string;
  grids: [number, number][]; // cells a side, anchors a cell
  min_score: number;
  sure_score: number;
  clear_size: number;
  short_range_hint: number;
  back_camera_hint: number;
  second_looks: number[];
  unseen_score: number;
  proposal_log_odds: number;
  margin_window: number;
  min_inside: number;
  same_face_iou: number;
  inside_other: number;
  refined_iou: number;
  crop_rule: { offset_x: number[]; offset_y: number[]; log_side: number[] };
  crop_log_side_range: [number, number];
}

export interface TrackingEntry {
  max_log_size: number;
  max_shift: number;
  max_shape_change: number;
  look_every_s: number;
  search_every_s: number;
  doubtful_score: number;
  followed_score: number;
  close_look: number;
  wide_look: number;
  same_place_iou: number;
  max_step_s: number;
  new_velocity: number;
}

export interface OneEuro {
  min_cutoff_hz: number;
  beta: number;
  speed_cutoff_hz: number;
}

export interface SmoothingEntry {
  rotation: OneEuro;
  place: OneEuro;
  size: OneEuro;
  expression: OneEuro;
  identity_frames: number;
  restart_after_s: number;
}

export interface AppConfig {
  model: string;
  wasm: string;
  face_model: FaceModelEntry;
  detector: DetectorEntry;
  tracking: TrackingEntry;
  smoothing: SmoothingEntry;
}

const SCHEMA = 1;

// Throws where the files ask for something that this code does not do.
export function checkContract(contract: Contract, config: AppConfig): void {
  const { input, crop, parameters } = contract;
  const size = crop.size_px;
  const wanted: [string, unknown, unknown][] = [
    ["schema", contract.schema, SCHEMA],
    ["input.shape", String(input.shape), String([size, size, 3])],
    ["input.layout", input.layout, "NHWC"],
    ["input.dtype", input.dtype, "uint8"],
    ["input.colour", input.colour, "RGB"],
    ["input.value_range", String(input.value_range), "0,255"],
    ["crop.box", crop.box, "landmarks68-square"],
    ["crop.pixel_centre", crop.pixel_centre, "integer"],
    ["crop.interpolation", crop.interpolation, "area-bilinear"],
    ["crop.padding", crop.padding, "black"],
    ["parameters.camera", parameters.camera, "rotation6d"],
    ["face_model.sha256", contract.face_model.sha256, config.face_model.sha256],
  ];
  for (const [field, found, known] of wanted) {
    if (found !== known) {
      throw new Error(
        `contract.json: field ${field} is ${found}, this page knows ${known}; export it again`,
      );
    }
  }
}
