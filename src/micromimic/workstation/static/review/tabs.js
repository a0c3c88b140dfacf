// Panes of which one is shown, chosen by tabs as the ARIA practices have them: arrow keys go along.

import { all } from "/static/app.js";

/** Scrolls a pane, and nothing else, so far that one of its lines is seen. @param {HTMLElement} line */
export function showInPane(line) {
  const pane = line.closest(".pane");
  const box = pane.getBoundingClientRect(), { top, bottom } = line.getBoundingClientRect();
  if (top < box.top || bottom > box.bottom) pane.scrollTop += top - box.top - (bottom - top);
}

export class Tabs {
  constructor(root) {
    this.tabs = all("[role=tab]", root);
    for (const tab of this.tabs) tab.addEventListener("click", (event) => {
      this.show(tab.id);
      if (event.detail) tab.blur(); // pressed by mouse: space plays on
    });
    root.addEventListener("keydown", (event) => this.#key(event));
    this.show(this.tabs[0].id);
  }

  show(id) {
    for (const tab of this.tabs) {
      const chosen = tab.id === id;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
    }
  }

  #key(event) {
    const at = this.tabs.indexOf(event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: this.tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const tab = this.tabs.at(to % this.tabs.length);
    this.show(tab.id);
    tab.focus();
  }
}
