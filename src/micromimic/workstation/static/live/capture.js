// The camera's frames as grey planes: 8 bytes of time (float64, little endian, seconds), then
// width * height bytes of luma.

const HEAD = 8;
const MOST_PIXELS = 1280 * 960;
const LUMA_FIRST = new Set(["I420", "I420A", "I422", "I444", "NV12"]);

const TROUBLE = {
  NotAllowedError: "the camera is not allowed for this page; allow it in the browser's address bar, then try again",
  NotFoundError: "no camera was found; connect one, then try again",
  OverconstrainedError: "no camera fits; connect another, then try again",
  NotReadableError: "the camera is in use or broken; close other programs that use it, then try again",
  AbortError: "the camera stopped while it was being opened; try again",
  SecurityError: "the browser forbids cameras here; open this page over https or on the computer itself",
};

/** Opens the camera near 640 x 480 at its highest rate. Throws an Error with one line for people. */
export async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("this address gives no access to cameras; open the page over https or on the computer itself");
  }
  // Sizes weigh more than the rate here, so a small fast mode wins over a large slow one.
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 240 }, resizeMode: { ideal: "none" } };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: false, video });
  } catch (error) {
    throw new Error(TROUBLE[error.name] ?? `the camera could not be opened (${error.message || error.name}); try again`);
  }
}

/** Frames of one size, the largest of the camera's shape that may be sent. */
class Packer {
  scratch = new Uint8Array(0);
  context = null;

  constructor(width, height) {
    const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
    this.whole = scale === 1;
    this.width = Math.floor(width * scale);
    this.height = Math.floor(height * scale);
  }

  #packet(seconds) {
    const bytes = new Uint8Array(HEAD + this.width * this.height);
    new DataView(bytes.buffer).setFloat64(0, seconds, true);
    return bytes;
  }

  /** A frame whose first plane is luma, and needs no scaling. */
  async copy(frame, seconds) {
    const bytes = this.#packet(seconds), size = frame.allocationSize();
    if (this.scratch.length < size) this.scratch = new Uint8Array(size);
    const [{ offset, stride }] = await frame.copyTo(this.scratch);
    for (let row = 0; row < this.height; row += 1) {
      const from = offset + row * stride;
      bytes.set(this.scratch.subarray(from, from + this.width), HEAD + row * this.width);
    }
    return bytes;
  }

  /** Any picture, through a canvas. */
  paint(picture, seconds) {
    const { width, height } = this;
    this.context ??= new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    this.context.drawImage(picture, 0, 0, width, height);
    const { data } = this.context.getImageData(0, 0, width, height), bytes = this.#packet(seconds);
    for (let from = 0, to = HEAD; from < data.length; from += 4, to += 1) {
      // BT.601 luma in 16-bit fixed point.
      bytes[to] = (19595 * data[from] + 38470 * data[from + 1] + 7471 * data[from + 2] + 32768) >> 16;
    }
    return bytes;
  }
}

/** Reads a camera's track frame by frame: VideoFrame objects. */
class TrackReader {
  packer = null;

  constructor(track, onFrame) {
    this.reader = new window.MediaStreamTrackProcessor({ track, maxBufferSize: 2 }).readable.getReader();
    this.onFrame = onFrame;
  }

  async run() {
    for (let next = await this.reader.read(); !next.done; next = await this.reader.read()) {
      const frame = next.value, seconds = frame.timestamp / 1e6;
      const { width, height } = frame.visibleRect;
      try {
        this.packer ??= new Packer(width, height);
        const plain = LUMA_FIRST.has(frame.format) && this.packer.whole && this.packer.width === width && this.packer.height === height;
        this.onFrame(plain ? await this.packer.copy(frame, seconds) : this.packer.paint(frame, seconds), this.packer, seconds);
      } finally {
        frame.close();
      }
    }
  }

  stop() {
    this.reader.cancel().catch(() => {});
  }
}

/** The same through the video element, where the browser hands out no frames. */
class ElementReader {
  packer = null;
  stopped = false;
  captured = null; // whether frames have the time at which they were captured

  constructor(video, onFrame) {
    this.video = video;
    this.onFrame = onFrame;
  }

  async run() {
    while (!this.stopped) {
      const about = await new Promise((resolve) => this.video.requestVideoFrameCallback((_now, frame) => resolve(frame)));
      if (this.stopped) return;
      // One clock for the whole session: they do not start at the same moment.
      this.captured ??= about.captureTime !== undefined;
      const seconds = this.captured ? about.captureTime / 1000 : about.mediaTime;
      this.packer ??= new Packer(this.video.videoWidth, this.video.videoHeight);
      if (Number.isFinite(seconds)) this.onFrame(this.packer.paint(this.video, seconds), this.packer, seconds);
    }
  }

  stop() {
    this.stopped = true;
  }
}

/**
 * Reads the stream's frames: onFrame(bytes, {width, height}, seconds) for each, in order. Gives an object with
 * run(), which ends when the stream does, and stop(). Needs the video element to be playing.
 */
export function frameReader(stream, video, onFrame) {
  const [track] = stream.getVideoTracks();
  return "MediaStreamTrackProcessor" in window ? new TrackReader(track, onFrame) : new ElementReader(video, onFrame);
}
