// The page: camera or photo in, the face drawn over it, bars, and a GLB to save.
import { Camera } from "./camera";
import { type Box, cropFace } from "./crop";
import { vertexColours, writeGlb } from "./glb";
import { load } from "./load";
import { Panel, RateMeter } from "./panel";
import type { Face } from "./reconstructor";
import { Smoother } from "./smoothing";
import { Tracker } from "./tracker";
import { type Style, View } from "./view";

// Larger photos are shrunk to this: phones' canvases hold no more.
const MAX_PHOTO_PX = 4096 * 4096;

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no element '${id}'`);
  return found as T;
}

const stage = element("stage");
const cameraButton = element<HTMLButtonElement>("camera");
const photoInput = element<HTMLInputElement>("photo");
const saveButton = element<HTMLButtonElement>("save");
const styleSelect = element<HTMLSelectElement>("style");
const mirrorBox = element<HTMLInputElement>("mirror");
const smoothBox = element<HTMLInputElement>("smooth");
const deviceSelect = element<HTMLSelectElement>("device");
const rate = element("rate");
const status = element("status");

// Said aloud by screen readers, hence only when it changes.
function say(text: string, isError = false): void {
  if (status.textContent === text) return;
  status.textContent = text;
  status.classList.toggle("error", isError);
}

async function start() {
  const { config, reconstructor } = await load();
  const { decoder } = reconstructor;
  const names = decoder.model.expressions.map((expression) => expression.name);
  const panel = new Panel(element("pose"), element("blendshapes"), names);
  const view = new View(element("picture"), element("mesh"), decoder.model);
  const tracker = new Tracker(reconstructor, config);
  const camera = new Camera(element("video"));

  // What is shown: the last picture, its face, and where it comes from.
  const shown: { image?: ImageData; face?: Face; source: "nothing" | "camera" | "photo" } = {
    source: "nothing",
  };
  let isOn = false; // the camera
  let run = 0; // numbers the camera's runs, so that an old one ends when a new one starts

  const draw = (image?: ImageData) => {
    view.show(shown.face, styleSelect.value as Style, image);
    panel.show(shown.face);
    saveButton.disabled = !shown.face;
  };
  const mirror = () => {
    mirrorBox.disabled = shown.source !== "camera"; // a photo is shown as it is
    stage.classList.toggle("mirrored", !mirrorBox.disabled && mirrorBox.checked);
  };

  const stopCamera = () => {
    run += 1;
    camera.stop();
    cameraButton.textContent = "Start camera";
    isOn = false;
    rate.textContent = "";
  };

  const startCamera = async (deviceId?: string) => {
    stopCamera();
    const own = run;
    say("Waiting for the camera");
    try {
      await camera.start(deviceId, () => {
        if (own !== run) return;
        stopCamera();
        say("The camera was disconnected. Start it again, or open a photo.", true);
      });
      if (own !== run) return;
      cameraButton.textContent = "Stop camera";
      isOn = true;
      mirrorBox.checked = camera.isSelfie;
      await listDevices();
      tracker.reset();
      await follow(own);
    } catch (error) {
      if (own !== run) return;
      stopCamera();
      say((error as Error).message, true);
    }
  };

  const follow = async (own: number) => {
    const meter = new RateMeter();
    const { video } = camera;
    for (;;) {
      await camera.nextFrame();
      if (own !== run) return;
      if (!video.videoWidth) continue;
      const startMs = performance.now();
      shown.source = "camera";
      mirror();
      tracker.smoothing = smoothBox.checked;
      const image = view.take(video, video.videoWidth, video.videoHeight);
      const face = await tracker.update(image, startMs / 1000);
      if (own !== run) return;
      Object.assign(shown, { image, face });
      stage.classList.add("filled");
      draw();
      rate.textContent = meter.frame(startMs, performance.now());
      say(shown.face ? "Following a face" : "No face in sight");
    }
  };

  const listDevices = async () => {
    const devices = await camera.list();
    deviceSelect.replaceChildren(
      ...devices.map((device, i) => new Option(device.label || `Camera ${i + 1}`, device.deviceId)),
    );
    deviceSelect.value = camera.deviceId ?? "";
    element("devices").hidden = devices.length < 2;
  };

  const openPhoto = async (file: File) => {
    stopCamera();
    const own = run;
    say(`Reading ${file.name}`);
    let bitmap: ImageBitmap;
    try {
      bitmap = await createImageBitmap(file, {
        imageOrientation: "from-image",
        colorSpaceConversion: "none",
      });
    } catch {
      say(`${file.name} is no picture that this browser can read. Try a JPEG or PNG.`, true);
      return;
    }
    const shrink = Math.min(1, Math.sqrt(MAX_PHOTO_PX / (bitmap.width * bitmap.height)));
    const size = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.floor(side * shrink)));
    if (own !== run) return;
    shown.source = "photo";
    shown.face = undefined;
    mirror();
    shown.image = view.take(bitmap, size[0], size[1]);
    bitmap.close();
    stage.classList.add("filled");
    draw();
    const face = await reconstructor.find(shown.image);
    if (own !== run) return;
    shown.face = face;
    draw();
    if (face) say(`A face was found in ${file.name}`);
    else say(`No face was found in ${file.name}. Try one where it is larger.`, true);
  };

  cameraButton.addEventListener("click", () => {
    if (isOn) {
      stopCamera();
      say("The camera is off");
    } else {
      void startCamera();
    }
  });
  deviceSelect.addEventListener("change", () => void startCamera(deviceSelect.value));
  photoInput.addEventListener("change", () => {
    const file = photoInput.files?.[0];
    if (file) void openPhoto(file);
    photoInput.value = ""; // the same photo may be chosen again
  });
  stage.addEventListener("dragover", (event) => event.preventDefault());
  stage.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) void openPhoto(file);
  });
  styleSelect.addEventListener("change", () => {
    if (shown.image) draw(shown.image);
  });
  mirrorBox.addEventListener("change", mirror);
  saveButton.addEventListener("click", () => {
    if (!shown.face || !shown.image) return;
    const { params, vertices, blendshapes } = shown.face;
    const colours = vertexColours(shown.image, vertices);
    const glb = writeGlb(decoder.model, decoder.neutral(params), colours, blendshapes);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(glb);
    link.download = "edge3d-face.glb";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say("The face was saved as edge3d-face.glb");
  });

  cameraButton.disabled = photoInput.disabled = false;
  say(
    view.hasMesh
      ? "Ready. Start the camera or open a photo."
      : "Ready. This browser has no WebGL: landmarks are drawn in place of the mesh.",
  );
  return {
    contract: reconstructor.contract,
    shown,
    crop: (image: ImageData, box: Box) =>
      cropFace(image, box, reconstructor.contract.crop.size_px),
    reconstruct: async (image: ImageData, box: Box) =>
      reconstructor.face(await reconstructor.look(image, box)),
    smoother: () => new Smoother(decoder, config.smoothing),
  };
}

// For scripts on the page and for tests: `await window.edge3d`.
const app = start();
Object.assign(window, { edge3d: app });
app.catch((error: Error) => say(error.message, true));
