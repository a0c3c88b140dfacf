// What every page imports: import { api, el, header } from "/static/app.js".

export { all, byId, el, fill, formatTime, inNextFrame, pressed, setWords, sharp, showLine } from "/static/viewer/dom.js";
export { PLACES, placeOf, signOf } from "/static/viewer/places.js";
export { API, ApiError, api, apiUrl, errorFrom, invalid, offline } from "./lib/api.js";
export { ask, confirmThat, fieldsOf, notice, openDialog, showError } from "./lib/dialogs.js";
export { attempt, downloadFrom, fillSelect, lines, onFile, onSubmit, option, saveAs, words } from "./lib/forms.js";
export { term } from "./lib/glossary.js";
export { askCoder, coder, header, remember, remembered, rememberedJson } from "./lib/shell.js";
export { formatDate, formatDay, formatDuration, formatMoment, formatSize, localDay, ordinal, plural, sentence, today } from "./lib/words.js";
