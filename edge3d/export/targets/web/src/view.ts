// The image with the face over it: the mesh by three.js, landmarks by the 2D canvas.
import {
  BufferAttribute,
  BufferGeometry,
  DirectionalLight,
  DynamicDrawUsage,
  Group,
  HemisphereLight,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  OrthographicCamera,
  Scene,
  WebGLRenderer,
} from "three";
import type { FaceModel } from "./face_model";
import { normals } from "./glb";
import type { Face } from "./reconstructor";

export type Style = "mesh" | "veil" | "landmarks" | "nothing";

const CLAY = 0xb9c4d6;
const OPACITY = 0.92;
const VEIL_OPACITY = 0.45;
const DISTANCE_PX = 20000; // of the camera, beyond any face

export class View {
  private readonly pen: CanvasRenderingContext2D;
  private readonly mesh: MeshView | undefined;

  // Without WebGL there is no mesh, and landmarks are drawn in its place.
  constructor(
    private readonly image: HTMLCanvasElement,
    overlay: HTMLCanvasElement,
    model: FaceModel,
  ) {
    const pen = image.getContext("2d", { willReadFrequently: true });
    if (!pen) throw new Error("this browser has no 2D canvas; use a newer one");
    this.pen = pen;
    try {
      this.mesh = new MeshView(overlay, model);
    } catch {
      this.mesh = undefined;
    }
  }

  get hasMesh(): boolean {
    return this.mesh !== undefined;
  }

  // Draws a frame and returns its pixels; what is transparent is laid over white.
  take(source: CanvasImageSource, width: number, height: number): ImageData {
    if (this.image.width !== width || this.image.height !== height) {
      this.image.width = width;
      this.image.height = height;
    }
    this.mesh?.resize(width, height); // the canvas may have this size already, the camera not
    this.pen.fillStyle = "white";
    this.pen.fillRect(0, 0, width, height);
    this.pen.drawImage(source, 0, 0, width, height);
    return this.pen.getImageData(0, 0, width, height);
  }

  // Makes both canvases empty.
  clear(): void {
    this.pen.clearRect(0, 0, this.image.width, this.image.height);
    this.mesh?.show(undefined, OPACITY);
  }

  // Lays a face over the image that was taken last, or over `image` drawn anew.
  show(face: Face | undefined, style: Style, image?: ImageData): void {
    if (image) this.pen.putImageData(image, 0, 0);
    const wantsMesh = style === "mesh" || style === "veil";
    this.mesh?.show(wantsMesh ? face : undefined, style === "veil" ? VEIL_OPACITY : OPACITY);
    if (face && (style === "landmarks" || (wantsMesh && !this.mesh))) {
      this.drawLandmarks(face.landmarks);
    }
  }

  private drawLandmarks(landmarks: Float32Array): void {
    const radius = Math.max(1.5, Math.max(this.image.width, this.image.height) / 320);
    this.pen.fillStyle = "#28e0a0";
    this.pen.strokeStyle = "rgba(0, 0, 0, 0.6)";
    for (let i = 0; i < landmarks.length; i += 3) {
      this.pen.beginPath();
      // A pixel's centre is whole here, and at the half for a canvas.
      this.pen.arc(landmarks[i] + 0.5, landmarks[i + 1] + 0.5, radius, 0, 2 * Math.PI);
      this.pen.fill();
      this.pen.stroke();
    }
  }
}

// The face proper (see FaceModel.mask) in an orthographic camera whose units are pixels.
class MeshView {
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly camera = new OrthographicCamera();
  private readonly geometry = new BufferGeometry();
  private readonly face = new Group();
  private readonly triangles: Uint32Array;
  private readonly material: MeshStandardMaterial;
  private size: [number, number] = [0, 0];

  constructor(canvas: HTMLCanvasElement, model: FaceModel) {
    this.renderer = new WebGLRenderer({ canvas, alpha: true, antialias: true });
    this.triangles = model.triangles.filter((_, i) => {
      const corner = i - (i % 3);
      return [0, 1, 2].some((k) => model.mask[model.triangles[corner + k]] > 0);
    });
    const count = model.mask.length;
    const colours = new Float32Array(4 * count).fill(1);
    model.mask.forEach((share, i) => {
      colours[4 * i + 3] = share;
    });
    const dynamic = () =>
      new BufferAttribute(new Float32Array(3 * count), 3).setUsage(DynamicDrawUsage);
    this.geometry.setAttribute("position", dynamic());
    this.geometry.setAttribute("normal", dynamic());
    this.geometry.setAttribute("color", new BufferAttribute(colours, 4));
    this.geometry.setIndex(new BufferAttribute(this.triangles, 1));
    this.material = new MeshStandardMaterial({
      color: CLAY,
      roughness: 0.5,
      vertexColors: true,
      transparent: true,
    });
    const shaded = new Mesh(this.geometry, this.material);
    // Depth first, so that nothing shows through the face but the image.
    const depth = new Mesh(this.geometry, new MeshBasicMaterial({ colorWrite: false }));
    for (const mesh of [depth, shaded]) {
      mesh.frustumCulled = false; // its bounds are those of no face yet
      this.face.add(mesh);
    }
    const key = new DirectionalLight(0xfff4e6, 3.1);
    key.position.set(-0.45, 0.55, 0.75);
    const fill = new DirectionalLight(0xdde6ff, 0.5);
    fill.position.set(0.75, 0.05, 0.5);
    this.scene.add(this.face, key, fill, new HemisphereLight(0xffffff, 0x445566, 0.45));
    this.camera.position.z = DISTANCE_PX / 2;
    this.camera.near = 1;
    this.camera.far = DISTANCE_PX;
  }

  resize(width: number, height: number): void {
    if (this.size[0] === width && this.size[1] === height) return;
    this.size = [width, height];
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.renderer.setSize(width, height, false);
    this.camera.left = -0.5;
    this.camera.right = width - 0.5;
    this.camera.top = 0.5;
    this.camera.bottom = 0.5 - height;
    this.camera.updateProjectionMatrix();
  }

  show(face: Face | undefined, opacity: number): void {
    this.face.visible = face !== undefined;
    if (face) {
      const position = this.geometry.getAttribute("position") as BufferAttribute;
      const normal = this.geometry.getAttribute("normal") as BufferAttribute;
      const points = position.array as Float32Array;
      points.set(face.vertices);
      for (let i = 1; i < points.length; i += 3) points[i] = -points[i]; // y up
      normal.array.set(normals(points, this.triangles));
      position.needsUpdate = normal.needsUpdate = true;
      this.material.opacity = opacity;
    }
    this.renderer.render(this.scene, this.camera);
  }
}
