// Words of the field and what they mean, shown where they stand: by mouse, keyboard and touch.

import { all, el } from "/static/viewer/dom.js";

export const GLOSSARY = {
  "action unit": "One muscle's movement of the face in the Facial Action Coding System (FACS), such as AU 12, lip corner puller.",
  "AC1": "Gwet's agreement beyond chance. Unlike kappa it stays meaningful where one answer is far more frequent than the others.",
  "agreement": "How far two coders, each having finished alone, say the same of the same recordings.",
  "anchored": "Decided with the machine's answer in view, so that two coders may agree because both saw the same suggestion.",
  "apex": "The frame in which the movement is largest.",
  "baseline": "A session at rest. The same person's later sessions are compared with it.",
  "blind coding": "The machine's class, probabilities and times are hidden until the coder has decided.",
  "candidate": "A brief movement that stands out from this face's own noise. Whether it is an expression, a person decides.",
  "class": "The group that an event is put into: by the machine one of its model's, by a coder one of the study's coding scheme.",
  "coding scheme": "What coders may say in this study: classes, action units, how sure they are, tags.",
  "condition": "What was done in a session, such as control or stress. Rates are compared between conditions.",
  "confidence interval": "Where the number may lie: drawn again and again, 95 of 100 such intervals hold the true one.",
  "detection limit": "The smallest movement that would have been found half of the time, at that moment of that recording.",
  "duplicate": "The same file, byte for byte, as another recording here.",
  "face regions": "Ten squares on brows, eyes, nose, mouth and chin in which movement is measured.",
  "finished": "This coder has said: I have watched it all. Only then does the review count, and only then are other coders' decisions shown.",
  "held back": "A movement that was seen and not reported, with its reason: it lies beside a turn of the head, speech or a blink, or lasts too long.",
  "how sure you are": "The coder's own certainty of the decision, kept and exported with it.",
  "ICC": "Intraclass correlation: how closely two coders' onset, apex or offset times agree, 1 at best.",
  "kappa": "Cohen's agreement beyond chance: 1 is perfect, 0 what guessing gives.",
  "longer expression": "A movement of 0.6 to 4 s. It is listed apart and not counted among the micro-expressions.",
  "micro-expression": "A movement of the face that lasts at most half a second.",
  "model is unsure": "The machine's probabilities of its classes lie close together, so its class means little.",
  "noise": "How much this face seems to move at rest, from picture noise and small unrest. Movements are given in multiples of it.",
  "not judged": "Nothing is looked for here, because the head moved, the person spoke, the eyes blinked, the light changed or the face was lost.",
  "observed time": "The part of the recording in which a micro-expression could have been found at all. Rates are per minute of it.",
  "offset": "The first frame after the movement.",
  "one of many in a row": "Many such movements follow each other closely, as in speech or unrest, so a single one is not reported.",
  "onset": "The first frame of the movement.",
  "overlap": "How much of the time of two events is shared: what both cover, divided by what either covers.",
  "pseudonym": "A code such as P01 in place of a name. Who it stands for is written down elsewhere.",
  "start or end of a stretch": "The movement lies where judging begins or ends, so it cannot be told whether it came back.",
  "unit": "A length on the face: 1/15 of the distance between the eyes, so 2 px where they are 30 px apart.",
  "valence": "Which way the classes lean: from −1, all unpleasant, to 1, all pleasant.",
  "where the class comes from": "The parts of the face whose movement speaks for the class that the machine gave.",
};

/** @typedef {keyof typeof GLOSSARY} Word */

let made = 0;

/**
 * A word with its meaning in place: term("onset"), or term("unit", "units"). Not for inside a button,
 * link, option or heading that is one: it holds a button of its own.
 * @param {Word} word @param {string} [shown]
 */
export function term(word, shown = word) {
  return explain(el("dfn", {}, shown), word);
}

/** Gives a <dfn> of the page its meaning. @param {HTMLElement} dfn @param {Word} word */
function explain(dfn, word) {
  const id = `meaning-${++made}`;
  const button = el("button", { type: "button", popovertarget: id, "aria-describedby": id }, ...dfn.childNodes);
  const meaning = el("span", { id, class: "meaning", role: "note", popover: "auto" }, GLOSSARY[word]);
  const place = () => {
    const box = button.getBoundingClientRect(), { offsetWidth: wide, offsetHeight: tall } = meaning;
    const left = Math.max(8, Math.min(box.left, innerWidth - wide - 8));
    const top = box.bottom + 6 + tall < innerHeight ? box.bottom + 6 : Math.max(8, box.top - 6 - tall);
    Object.assign(meaning.style, { left: `${left}px`, top: `${top}px`, visibility: "visible" });
  };
  // Its size is known once it is open: it is seen when it has its place.
  meaning.addEventListener("toggle", (event) => {
    if (event.newState === "open") place();
    else meaning.style.visibility = "hidden";
  });
  button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") meaning.showPopover(); });
  button.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") meaning.hidePopover(); });
  dfn.className = "term";
  dfn.replaceChildren(button, meaning);
  return dfn;
}

/** The words of the page's own markup: <dfn data-term="onset">onset</dfn>. */
export function explainTerms(within = document) {
  for (const dfn of all("dfn[data-term]", within)) {
    explain(dfn, dfn.dataset.term);
    delete dfn.dataset.term;
  }
}
