// One live session: camera to socket, messages back. It ends once, for one reason, and leaves
// neither camera nor socket open.

import { API, offline } from "../app.js";
import { frameReader, openCamera } from "./capture.js";

const BACKLOG_S = 0.5;
const ANSWER_MS = 15000;
const WAIT_AFTER_STOP_MS = 60000;
const SILENT = offline().message;

/**
 * Runs until stop(), the camera's end or the server's. Callbacks: message(object), size(width,
 * height). run() gives {reason, kept}, kept being the message about the recording or null, and
 * throws an Error with one line where something went wrong.
 */
export class LiveSession {
  unsent = 0;
  stopping = false;
  #first = null; // seconds of the frames' clock
  #last = -Infinity;

  constructor(video, keep, { message, size }) {
    this.video = video;
    this.keep = keep;
    this.message = message;
    this.size = size;
  }

  async run() {
    try {
      this.stream = await openCamera();
      if (this.stopping) return { reason: "stopped", kept: null };
      this.video.srcObject = this.stream;
      await this.video.play();
      return await new Promise((resolve, reject) => this.#connect(resolve, reject));
    } finally {
      this.#close();
    }
  }

  #connect(resolve, reject) {
    const socket = new WebSocket(`${API}/live`);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    let opened = false, ended = null, problem = null, kept = null;
    const fail = (line) => reject(new Error(line));
    const overdue = setTimeout(() => fail(SILENT), ANSWER_MS);
    socket.addEventListener("open", () => { opened = true; this.#feed(fail); });
    socket.addEventListener("message", ({ data }) => {
      clearTimeout(overdue);
      const message = JSON.parse(data);
      if (message.type === "error") problem = message.message;
      if (message.type === "end") ended = message;
      if (message.type === "kept") kept = message;
      this.message(message);
    });
    socket.addEventListener("close", () => {
      clearTimeout(overdue);
      if (ended && (kept || !problem)) resolve({ reason: ended.reason, kept });
      else if (problem) fail(problem);
      else if (!opened) fail(SILENT);
      else fail("the connection to the server was lost; try again");
    });
    this.stream.getVideoTracks()[0].addEventListener("ended", () => {
      if (!this.stopping) fail("the camera was disconnected or taken away; connect it, then try again");
    });
  }

  #feed(fail) {
    let shape = null, room = 0;
    this.reader = frameReader(this.stream, this.video, (bytes, { width, height }, time) => {
      if (this.socket.readyState !== WebSocket.OPEN || this.stopping) return undefined;
      if (time <= this.#last) return undefined; // the same frame again, as some cameras' drivers give it
      this.#last = time;
      this.#first ??= time;
      if (!shape) {
        const fps = this.stream.getVideoTracks()[0].getSettings().frameRate ?? 30;
        this.socket.send(JSON.stringify({ type: "start", width, height, fps, ...this.keep }));
        this.size(width, height);
        shape = bytes.length;
        room = Math.max(4, BACKLOG_S * fps) * shape;
      }
      if (bytes.length !== shape) return fail("the camera changed its size; try again");
      // What piles up here would only grow old: it is left out, and counted.
      if (this.socket.bufferedAmount > room) this.unsent += 1;
      else this.socket.send(bytes);
      return undefined;
    });
    this.reader.run().then(
      () => this.stopping || fail("the camera gives no more frames; try again"),
      (error) => fail(`the camera's frames could not be read (${error.message}); try again`));
  }

  /** Now, by the newest frame: its time on the frames' clock and seconds from the first; null before one came. */
  clock() {
    return this.#first === null ? null : { time: this.#last, seconds: this.#last - this.#first };
  }

  /** A message between the frames; none once it is being ended. */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN && !this.stopping) this.socket.send(JSON.stringify(message));
  }

  /** Ends it: the server finishes what it has, says so, and run() returns. */
  stop() {
    this.stopping = true;
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: "stop" }));
      setTimeout(() => this.socket.close(1000), WAIT_AFTER_STOP_MS);
    } else {
      this.socket?.close();
    }
    this.#release();
  }

  #release() {
    this.reader?.stop();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.video.srcObject = null;
  }

  #close() {
    this.stopping = true;
    this.#release();
    if (this.socket && this.socket.readyState <= WebSocket.OPEN) this.socket.close(1000);
  }
}
