// Panes of which one is shown, chosen by tabs as the ARIA practices have them: arrow keys go along.

import { all, byId } from "/static/app.js";
import { pressing } from "./choices.js";

/** Marks the button of what is chosen, and scrolls its pane, and nothing else, so far that it is seen. @param {Map<any, HTMLElement>} buttons @param {any} chosen */
export function markChosen(buttons, chosen) {
  for (const [key, button] of buttons) {
    if (key === chosen) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  const pane = buttons.get(chosen)?.closest(".pane");
  if (!pane) return;
  const box = pane.getBoundingClientRect(), { top, bottom } = buttons.get(chosen).getBoundingClientRect();
  if (top < box.top || bottom > box.bottom) pane.scrollTop += top - box.top - (bottom - top);
}

/** Makes tabs work. Gives what shows the pane of one. */
export function tabs(root) {
  const each = all("[role=tab]", root);

  function show(id) {
    for (const tab of each) {
      const chosen = tab.id === id;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      byId(tab.getAttribute("aria-controls")).hidden = !chosen;
    }
  }

  for (const tab of each) tab.addEventListener("click", pressing(() => show(tab.id)));
  root.addEventListener("keydown", (event) => {
    const at = each.indexOf(event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: each.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const tab = each.at(to % each.length);
    show(tab.id);
    tab.focus();
  });
  show(each[0].id);
  return show;
}
