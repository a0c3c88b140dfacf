// Which stretch of time the timeline shows, and where a moment lies on it.

const FEWEST_FRAMES = 24;

/** Fires "view" when the stretch changes. */
export class View extends EventTarget {
  constructor(clock) {
    super();
    this.first = clock.time(0);
    this.last = clock.end;
    this.from = this.first;
    this.to = this.last;
    this.shortest = Math.min(FEWEST_FRAMES / clock.fps, this.last - this.first);
    this.left = 0;
    this.width = 1;
  }

  get span() {
    return this.to - this.from;
  }

  get whole() {
    return this.span >= (this.last - this.first) * 0.9999;
  }

  /** Where the plot lies on its canvas, CSS pixels. */
  place(left, width) {
    this.left = left;
    this.width = Math.max(1, width);
  }

  x(time) {
    return this.left + ((time - this.from) / this.span) * this.width;
  }

  time(x) {
    return this.from + ((x - this.left) / this.width) * this.span;
  }

  set(from, to) {
    const span = Math.min(this.last - this.first, Math.max(this.shortest, to - from));
    let start = (from + to) / 2 - span / 2;
    start = Math.max(this.first, Math.min(this.last - span, start));
    if (start === this.from && start + span === this.to) return;
    this.from = start;
    this.to = start + span;
    this.dispatchEvent(new Event("view"));
  }

  /** A factor below 1 shows less; the moment `about` stays where it is. */
  zoom(factor, about = (this.from + this.to) / 2) {
    const span = Math.min(this.last - this.first, Math.max(this.shortest, this.span * factor));
    const share = (about - this.from) / this.span;
    const from = Math.max(this.first, Math.min(this.last - span, about - share * span));
    this.set(from, from + span);
  }

  pan(seconds) {
    this.set(this.from + seconds, this.to + seconds);
  }

  all() {
    this.set(this.first, this.last);
  }

  /** Brings a moment into sight, moving no more than needed. */
  show(time, margin = 0.08) {
    const edge = this.span * margin;
    if (time < this.from + edge) this.pan(time - this.from - edge);
    else if (time > this.to - edge) this.pan(time - this.to + edge);
  }

  /** Brings a stretch into sight, and so near that its length can be seen. */
  showStretch(from, to, fewestPixels = 26) {
    const pixels = ((to - from) / this.span) * this.width;
    if (pixels < fewestPixels) {
      const half = Math.max((to - from) * 5, this.shortest);
      this.set((from + to) / 2 - half, (from + to) / 2 + half);
    } else if (to - from > this.span) this.set(from - (to - from) * 0.2, to + (to - from) * 0.2);
    else {
      this.show(to);
      this.show(from);
    }
  }
}
