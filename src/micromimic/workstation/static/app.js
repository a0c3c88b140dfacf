// What every page imports: import { api, el, header } from "/static/app.js".

export { API, ApiError, api, apiUrl, errorFrom, offline } from "./lib/api.js";
export { ask, confirmThat, firstInvalid, formValues, notice, showError } from "./lib/dialogs.js";
export {
  byId, cellName, colour, el, fill, formatDate, formatDuration, formatMoment, formatSize, formatTime,
  plural, svg, unitNames,
} from "./lib/dom.js";
export { PLACES, markOf, placeOf } from "./lib/places.js";
export { askCoder, coder, header, remember, remembered, theme } from "./lib/shell.js";
