// The page: camera or photo in, the face drawn over it, bars, and a GLB to save.
import { Camera } from "./camera";
import { type Box, cropFace } from "./crop";
import { vertexColours, writeGlb } from "./glb";
import { load } from "./load";
import { keepForOffline } from "./offline";
import { Panel, RateMeter } from "./panel";
import type { Face } from "./reconstructor";
import { Smoother } from "./smoothing";
import { Tracker } from "./tracker";
import { type Style, View } from "./view";

// Larger images are shrunk to this: phones' canvases hold no more.
const MAX_PHOTO_PX = 4096 * 4096;

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no element '${id}'`);
  return found as T;
}

type Source = "nothing" | "camera" | "photo" | "video";

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
  const view = new View(element("image"), element("mesh"), decoder.model);
  const tracker = new Tracker(reconstructor, config);
  const camera = new Camera(element("video"));

  // What is shown: the last image, its face, and where it comes from.
  const shown: { image?: ImageData; face?: Face; source: Source } = {
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

  // Forgets what was shown, so that no number of it stays.
  const clear = () => {
    Object.assign(shown, { image: undefined, face: undefined, source: "nothing" });
    view.clear();
    stage.classList.remove("filled");
    mirror();
    draw();
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
      await follow(own, "camera");
    } catch (error) {
      if (own !== run) return;
      stopCamera();
      say((error as Error).message, true);
    }
  };

  const follow = async (own: number, source: Source) => {
    const meter = new RateMeter();
    const { video } = camera;
    for (;;) {
      await camera.nextFrame();
      if (own !== run) return;
      if (!video.videoWidth || video.ended) continue;
      const startMs = performance.now();
      shown.source = source;
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
      if (own !== run) return;
      clear();
      say(`This browser cannot read ${file.name} as an image. Try a JPEG or PNG.`, true);
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
    else if (reconstructor.detector.isComplete) {
      say(`No face was found in ${file.name}. Try one where it is larger.`, true);
    } else {
      say(
        `No large face was found in ${file.name}, and the detector for small ones could not be loaded. Check the connection and open it again.`,
        true,
      );
    }
  };

  const openVideo = async (file: File) => {
    stopCamera();
    const own = run;
    say(`Reading ${file.name}`);
    try {
      await camera.play(file, () => {
        if (own !== run) return;
        stopCamera();
        say(`${file.name} has ended`);
      });
    } catch {
      if (own !== run) return;
      stopCamera();
      clear();
      say(`This browser cannot play ${file.name}. Try an MP4 or WebM.`, true);
      return;
    }
    if (own !== run) return;
    cameraButton.textContent = "Stop video";
    isOn = true;
    tracker.reset();
    await follow(own, "video");
  };

  const open = (file: File | undefined) => {
    if (!file) return;
    const opening = file.type.startsWith("video/") ? openVideo(file) : openPhoto(file);
    opening.catch((error: Error) => say(error.message, true));
  };

  cameraButton.addEventListener("click", () => {
    if (isOn) {
      stopCamera();
      say(shown.source === "video" ? "The video was stopped" : "The camera is off");
    } else {
      void startCamera();
    }
  });
  deviceSelect.addEventListener("change", () => void startCamera(deviceSelect.value));
  photoInput.addEventListener("change", () => {
    const file = photoInput.files?.[0];
    open(file);
    photoInput.value = ""; // the same photo may be chosen again
  });
  stage.addEventListener("dragover", (event) => event.preventDefault());
  stage.addEventListener("drop", (event) => {
    event.preventDefault();
    open(event.dataTransfer?.files[0]);
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

  const prepared = reconstructor.detector.prepare();
  cameraButton.disabled = photoInput.disabled = false;
  say(
    view.hasMesh
      ? "Ready. Start the camera or open a photo."
      : "Ready. This browser has no WebGL: landmarks are drawn in place of the mesh.",
  );
  return {
    prepared,
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
document.documentElement.classList.add("started"); // see #stalled in index.html
const app = start();
Object.assign(window, { edge3d: app });
app.catch((error: Error) => say(error.message, true));
app
  .then(({ prepared }) => prepared)
  .then(keepForOffline)
  .catch(() => undefined); // the app works without
