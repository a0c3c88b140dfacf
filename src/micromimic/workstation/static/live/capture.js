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

/** Largest size of the same shape that may be sent. */
function fitted(width, height) {
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  return [Math.floor(width * scale), Math.floor(height * scale)];
}

/** A picture through a canvas, as grey: for formats whose first plane is not luma, and scaling. */
class Painter {
  constructor(width, height) {
    this.canvas = new OffscreenCanvas(width, height);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
  }

  grey(picture, out) {
    const { width, height } = this.canvas;
    this.context.drawImage(picture, 0, 0, width, height);
    const { data } = this.context.getImageData(0, 0, width, height);
    for (let from = 0, to = HEAD; from < data.length; from += 4, to += 1) {
      // BT.601 luma in 16-bit fixed point.
      out[to] = (19595 * data[from] + 38470 * data[from + 1] + 7471 * data[from + 2] + 32768) >> 16;
    }
  }
}

function packet(width, height, time) {
  const bytes = new Uint8Array(HEAD + width * height);
  new DataView(bytes.buffer).setFloat64(0, time, true);
  return bytes;
}

/** Reads a camera's track frame by frame: VideoFrame objects, copied plane by plane. */
class TrackReader {
  constructor(track, onFrame) {
    this.reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 2 }).readable.getReader();
    this.onFrame = onFrame;
    this.scratch = new Uint8Array(0);
    this.painter = null;
    this.size = null;
  }

  async run() {
    for (;;) {
      const { done, value: frame } = await this.reader.read();
      if (done) return;
      try {
        await this.#take(frame);
      } finally {
        frame.close();
      }
    }
  }

  async #take(frame) {
    const rect = frame.visibleRect ?? { width: frame.codedWidth, height: frame.codedHeight };
    this.size ??= fitted(rect.width, rect.height);
    const [width, height] = this.size;
    const bytes = packet(width, height, frame.timestamp / 1e6);
    if (LUMA_FIRST.has(frame.format) && rect.width === width && rect.height === height) {
      await this.#copy(frame, width, height, bytes);
    } else {
      this.painter ??= new Painter(width, height);
      this.painter.grey(frame, bytes);
    }
    this.onFrame(bytes, width, height, frame.timestamp / 1e6);
  }

  /** copyTo gives all planes; luma lies first, without gaps between its rows. */
  async #copy(frame, width, height, bytes) {
    const chroma = frame.format === "I444" ? width : frame.format === "NV12" ? 2 * Math.ceil(width / 2) : Math.ceil(width / 2);
    const rows = ["I444", "I422"].includes(frame.format) ? height : Math.ceil(height / 2);
    const layout = [{ offset: 0, stride: width }];
    let end = width * height;
    const planes = frame.format === "NV12" ? 1 : 2;
    for (let i = 0; i < planes; i += 1) { layout.push({ offset: end, stride: chroma }); end += chroma * rows; }
    if (frame.format === "I420A") { layout.push({ offset: end, stride: width }); end += width * height; }
    if (this.scratch.length < end) this.scratch = new Uint8Array(end);
    await frame.copyTo(this.scratch, { layout });
    bytes.set(this.scratch.subarray(0, width * height), HEAD);
  }

  stop() {
    this.reader.cancel().catch(() => {});
  }
}

/** The same through the video element, where the browser hands out no frames. */
class ElementReader {
  constructor(video, onFrame) {
    this.video = video;
    this.onFrame = onFrame;
    this.stopped = false;
    this.painter = null;
  }

  run() {
    return new Promise((resolve, reject) => {
      this.end = resolve;
      const next = (now, about) => {
        if (this.stopped) return;
        try {
          this.#take(about);
          this.video.requestVideoFrameCallback(next);
        } catch (error) {
          reject(error);
        }
      };
      this.video.requestVideoFrameCallback(next);
    });
  }

  #take(about) {
    this.painter ??= new Painter(...fitted(this.video.videoWidth, this.video.videoHeight));
    const { width, height } = this.painter.canvas;
    // One clock for the whole session: they do not start at the same moment.
    this.captured ??= about.captureTime !== undefined;
    const time = this.captured ? about.captureTime / 1000 : about.mediaTime;
    if (!Number.isFinite(time)) return;
    const bytes = packet(width, height, time);
    this.painter.grey(this.video, bytes);
    this.onFrame(bytes, width, height, time);
  }

  stop() {
    this.stopped = true;
    this.end?.();
  }
}

/**
 * Reads the stream's frames: onFrame(bytes, width, height, seconds) for each, in order. Gives an object with
 * run(), which ends when the stream does, and stop(). Needs the video element to be playing.
 */
export function frameReader(stream, video, onFrame) {
  const [track] = stream.getVideoTracks();
  if (typeof MediaStreamTrackProcessor === "function") return new TrackReader(track, onFrame);
  return new ElementReader(video, onFrame);
}
