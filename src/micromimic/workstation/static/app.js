// What every page imports: import { api, el, header } from "/static/app.js".

export { byId, el, fill, formatTime, inNextFrame, sharp } from "/static/viewer/dom.js";
export { PLACES, markOf, placeOf } from "/static/viewer/places.js";
export { API, ApiError, api, apiUrl, errorFrom, offline } from "./lib/api.js";
export { ask, confirmThat, firstInvalid, formValues, notice, showError } from "./lib/dialogs.js";
export { askCoder, coder, header, remember, remembered, theme } from "./lib/shell.js";
export { formatDate, formatDuration, formatMoment, formatSize, plural } from "./lib/words.js";
