// Wheel, mouse and touch on the timeline. Click seeks or chooses an event; a drag pans, on the axis it
// scrubs; the wheel and two fingers zoom around where they are.

const STILL = 4; // pixels that a click may shake
const WHEEL = 0.0016;

export function listen(timeline) {
  const { plot, view, model, player } = timeline;
  const pointers = (timeline.pointers = new Map());
  let gesture = null;

  const place = (event) => {
    const box = plot.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const scrub = (x) => player.seek(model.clock.nearest(view.time(Math.max(view.left, Math.min(view.left + view.width, x)))));

  plot.addEventListener("wheel", (event) => {
    const [x] = place(event);
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    const unit = event.deltaMode === 1 ? 18 : 1;
    const amount = unit * (Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.deltaY);
    if (!sideways && amount > 0 && view.whole) return; // nothing to zoom out of: the page scrolls
    event.preventDefault();
    if (sideways) view.pan((amount / view.width) * view.span);
    else view.zoom(Math.exp(amount * WHEEL * (event.ctrlKey ? 6 : 1)), view.time(x));
  }, { passive: false });

  plot.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const [x, y] = place(event);
    const taken = timeline.handles.yield(); // a second finger beside a dragged point means a pinch
    if (taken) pointers.set(taken.pointerId, place(taken)[0]);
    pointers.set(event.pointerId, x);
    plot.setPointerCapture(event.pointerId);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()];
      gesture = { kind: "pinch", gap: Math.max(12, Math.abs(a - b)), middle: view.time((a + b) / 2), span: view.span };
      return;
    }
    const onAxis = y >= timeline.layout().axis;
    gesture = { kind: onAxis ? "scrub" : "press", x, y, from: view.from, to: view.to };
    if (onAxis) scrub(x);
  });

  plot.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (!pointers.has(event.pointerId)) {
      if (event.pointerType === "mouse") plot.title = timeline.describe(x, y);
      return;
    }
    pointers.set(event.pointerId, x);
    if (gesture?.kind === "pinch" && pointers.size === 2) pinch();
    else if (gesture?.kind === "scrub") scrub(x);
    else if (gesture?.kind === "pan" || (gesture?.kind === "press" && Math.abs(x - gesture.x) > STILL)) {
      gesture.kind = "pan";
      const moved = ((gesture.x - x) / view.width) * (gesture.to - gesture.from);
      view.set(gesture.from + moved, gesture.to + moved);
    }
  });

  function pinch() {
    const [a, b] = [...pointers.values()];
    const span = (gesture.span * gesture.gap) / Math.max(12, Math.abs(a - b));
    const share = ((a + b) / 2 - view.left) / view.width;
    view.set(gesture.middle - share * span, gesture.middle + (1 - share) * span);
  }

  function press({ x, y }) {
    const key = timeline.eventAt(x, y);
    if (key && y >= timeline.layout().bottom) return model.select(key);
    if (key) model.select(key, { look: false });
    return scrub(x);
  }

  plot.addEventListener("pointerup", (event) => {
    pointers.delete(event.pointerId);
    if (gesture?.kind === "press") press(gesture);
    if (!pointers.size || gesture?.kind === "pinch") gesture = null;
  });
  plot.addEventListener("pointercancel", (event) => {
    pointers.delete(event.pointerId);
    gesture = null;
  });
  plot.addEventListener("dblclick", () => view.all());
}
