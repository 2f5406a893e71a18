// The camera, and in plain words why there is none.

export class Camera {
  private stream: MediaStream | undefined;
  private fileUrl: string | undefined;

  constructor(readonly video: HTMLVideoElement) {}

  // Throws Error with a message for the user.
  async start(deviceId: string | undefined, onEnded: () => void): Promise<void> {
    this.stop();
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(
        "This browser gives the camera only to pages at https:// or on localhost. A photo works all the same.",
      );
    }
    const size = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
    try {
      const constraints = { audio: false, video: { ...size, ...which } };
      this.stream = await navigator.mediaDevices.getUserMedia(constraints);
    } catch (error) {
      throw new Error(reason(error as DOMException));
    }
    this.stream.getVideoTracks()[0].addEventListener("ended", onEnded);
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  // Plays a video file in the camera's place; throws where the browser cannot.
  async play(file: File, onEnded: () => void): Promise<void> {
    this.stop();
    this.video.src = this.fileUrl = URL.createObjectURL(file);
    this.video.onended = onEnded;
    await this.video.play();
  }

  stop(): void {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = undefined;
    this.video.srcObject = null;
    this.video.onended = null;
    if (this.fileUrl) {
      this.video.removeAttribute("src");
      this.video.load();
      URL.revokeObjectURL(this.fileUrl);
      this.fileUrl = undefined;
    }
  }

  // Whether the image is mirrored: not of a camera that looks away from the user.
  get isSelfie(): boolean {
    return this.stream?.getVideoTracks()[0].getSettings().facingMode !== "environment";
  }

  get deviceId(): string | undefined {
    return this.stream?.getVideoTracks()[0].getSettings().deviceId;
  }

  // The cameras; their names are known once one was allowed.
  async list(): Promise<MediaDeviceInfo[]> {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "videoinput");
  }

  // Resolves with the next frame; frames that came in between are gone.
  nextFrame(): Promise<void> {
    return new Promise((resolve) => {
      if (this.video.requestVideoFrameCallback) {
        this.video.requestVideoFrameCallback(() => resolve());
      } else {
        requestAnimationFrame(() => resolve());
      }
    });
  }
}

function reason(error: DOMException): string {
  switch (error.name) {
    case "NotAllowedError":
      return "The camera was refused. Allow it for this page in the browser's settings and start again, or open a photo.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No camera was found. Connect one and start again, or open a photo.";
    case "NotReadableError":
    case "AbortError":
      return "The camera gives no image; another program may be using it. Close that and start again, or open a photo.";
    default:
      return `The camera cannot be used (${error.message || error.name}). A photo works all the same.`;
  }
}
