// The video, one frame at a time. The frame that `shown` names is the one on the screen: it comes from
// the browser's own report on what it has presented (requestVideoFrameCallback), never from a sum.

const SETTLE_MS = 400;

const SLOWEST_HEARD = 0.5; // slower, speech is a growl

/** Fires "frame" (another frame is on the screen), "play" (playing, speed, loop or sound changed), "ready", "gone". */
class Player extends EventTarget {
  shown = 0;
  speed = 1;
  muted = false;
  volume = 1;
  loop = null; // [first, last] frame that is played over and over

  constructor(clock) {
    super();
    this.clock = clock;
  }

  /** Sets some of speed, loop, muted and volume (0 to 1). @param {{speed?: number, loop?: [number, number] | null, muted?: boolean, volume?: number}} values */
  set(values) {
    Object.assign(this, values);
    this.apply();
    this.fire("play");
  }

  /** Puts what was set into effect. */
  apply() {}

  /** Whether sound is made at this speed. */
  get audible() {
    return this.speed >= SLOWEST_HEARD;
  }

  /** Where playing has to begin, or null where it goes on from the frame that is shown. */
  get start() {
    if (this.loop && (this.shown < this.loop[0] || this.shown >= this.loop[1])) return this.loop[0];
    return !this.loop && this.shown >= this.clock.frames - 1 ? 0 : null;
  }

  fire(name) {
    this.dispatchEvent(new Event(name));
  }
}

export class VideoPlayer extends Player {
  #shift = 0; // the file's time less the source's time
  #sought = null; // frame that a running seek is after
  #timer = 0;
  #calibrated = false;
  #reported = false; // whether anything was presented since the last seek began
  wanted = 0;
  pictures = true;
  ready = false;

  constructor(video, clock, url) {
    super(clock);
    this.video = video;
    video.addEventListener("seeked", () => this.#seeked());
    video.addEventListener("ended", () => this.#ended());
    for (const name of ["play", "pause"]) video.addEventListener(name, () => this.fire("play"));
    video.addEventListener("error", () => this.fire("gone"));
    video.addEventListener("loadeddata", () => this.#firstFrame(), { once: true });
    this.#listen();
    video.src = url;
    video.load();
  }

  get playing() {
    return !this.video.paused && !this.video.ended;
  }

  /** Shows a frame and stays there. */
  seek(frame) {
    this.wanted = this.clock.clamp(frame);
    if (this.playing) this.video.pause();
    this.#go();
  }

  step(count) {
    this.seek(this.aim + count);
  }

  /** Goes some seconds on or back; playing goes on from there. */
  skip(seconds) {
    const frame = this.clock.nearest(this.clock.time(this.aim) + seconds);
    if (this.playing) this.#jump(frame);
    else this.seek(frame);
  }

  /** The frame that is shown, or is going to be. */
  get aim() {
    return this.#sought === null ? this.shown : this.wanted;
  }

  play() {
    if (this.start !== null) this.#jump(this.start);
    this.apply();
    this.video.play().catch((error) => {
      if (error.name === "NotAllowedError" && !this.video.muted) {
        this.set({ muted: true }); // this browser lets a page play without sound only
        this.play();
      } else if (error.name !== "AbortError") this.fire("gone");
    });
  }

  apply() {
    Object.assign(this.video, { playbackRate: this.speed, muted: this.muted || !this.audible, volume: this.volume });
  }

  pause() {
    this.video.pause();
  }

  #go() {
    if (!this.ready || !this.#calibrated || this.#sought !== null) return;
    if (this.wanted !== this.shown) this.#jump(this.wanted);
  }

  #jump(frame) {
    this.#sought = frame;
    this.#reported = false;
    this.wanted = frame;
    this.video.currentTime = this.clock.middle(frame) + this.#shift;
  }

  #seeked() {
    const sought = this.#sought;
    if (sought === null) return;
    clearTimeout(this.#timer);
    if (this.playing) this.#sought = null;
    else if (sought === this.shown) this.#settled();
    else this.#timer = setTimeout(() => this.#unreported(sought), SETTLE_MS);
  }

  /** A hidden page reports nothing: it will present what was asked for. Else what is on the screen counts. */
  #unreported(sought) {
    if (!this.#reported) return this.#present(sought);
    if (this.wanted === sought) this.wanted = this.shown;
    return this.#settled();
  }

  #settled() {
    clearTimeout(this.#timer);
    this.#sought = null;
    if (!this.playing) this.#go();
  }

  #listen() {
    this.video.requestVideoFrameCallback?.((_now, { mediaTime }) => {
      this.#reported = true;
      if (!this.#calibrated) this.#calibrate(mediaTime);
      this.#present(this.clock.nearest(mediaTime - this.#shift));
      this.#listen();
    });
  }

  #firstFrame() {
    this.ready = true;
    setTimeout(() => {
      if (!this.#calibrated) this.#calibrate(0);
    }, SETTLE_MS);
    this.#go(); // the picture may have been reported before the data were
    this.fire("ready");
  }

  /** The first frame that is presented is frame 0, whatever time the file gives it. */
  #calibrate(mediaTime) {
    this.#calibrated = true;
    this.#shift = mediaTime - this.clock.time(0);
    this.#go();
  }

  #present(frame) {
    const other = frame !== this.shown;
    this.shown = frame;
    if (this.playing) {
      this.wanted = frame;
      if (this.loop && frame >= this.loop[1] && this.#sought === null) this.#jump(this.loop[0]);
    }
    if (other) this.fire("frame");
    if (this.#sought !== null && !this.video.seeking && (frame === this.#sought || this.playing)) this.#settled();
  }

  #ended() {
    if (!this.loop) return this.fire("play");
    this.#jump(this.loop[0]); // play() alone would begin at the file's start
    return this.play();
  }
}

/** The same without a video: the frame number runs, curve and numbers follow. */
export class NumbersPlayer extends Player {
  #started = null;
  pictures = false;
  ready = true;
  playing = false;

  get aim() {
    return this.shown;
  }

  seek(frame) {
    if (this.playing) this.pause();
    this.#show(this.clock.clamp(frame));
  }

  step(count) {
    this.seek(this.shown + count);
  }

  skip(seconds) {
    this.#started = null;
    this.#show(this.clock.nearest(this.clock.time(this.shown) + seconds));
  }

  play() {
    if (this.start !== null) this.#show(this.start);
    this.#started = null;
    this.playing = true;
    this.fire("play");
    requestAnimationFrame((now) => this.#tick(now));
  }

  pause() {
    this.playing = false;
    this.fire("play");
  }

  apply() {
    this.#started = null; // from here on at another speed
  }

  #tick(now) {
    if (!this.playing) return;
    this.#started ??= { now, time: this.clock.time(this.shown) };
    const frame = this.clock.nearest(this.#started.time + ((now - this.#started.now) / 1000) * this.speed);
    const last = this.loop ? this.loop[1] : this.clock.frames - 1;
    this.#show(Math.min(frame, last));
    if (frame >= last) {
      if (!this.loop) return this.pause();
      this.#started = { now, time: this.clock.time(this.loop[0]) };
    }
    requestAnimationFrame((next) => this.#tick(next));
  }

  #show(frame) {
    if (frame === this.shown) return;
    this.shown = frame;
    this.fire("frame");
  }
}
