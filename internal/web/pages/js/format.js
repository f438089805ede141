// How sizes, times and states are written.

/** @param {number} n @returns {string} */
export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  return `${n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

/** @param {number} bps @returns {string} */
export function bitrate(bps) {
  if (bps >= 1e6) return `${(bps / 1e6).toFixed(1)} Mbit/s`;
  return `${Math.round(bps / 1e3)} kbit/s`;
}

/** @param {number} seconds @returns {string} */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// A browser takes a third of a millisecond to make one of these, and as long again to free it: hence they are made once.
const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const dayOfUTC = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const minutes = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const seconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** @param {string|number|undefined} time as text, or ms since 1970 @returns {string} local time, "" for none */
export function when(time) {
  if (!time) return "";
  return dateAndTime.format(new Date(time));
}

/** The day of a time in UTC. @param {number} time ms since 1970 */
export const dayInUTC = (time) => dayOfUTC.format(time);

/** A day as a mark of a scale. @param {number} time ms since 1970 */
export const day = (time) => weekday.format(time);

/** A time of day as a mark of a scale. @param {number} time ms since 1970 @param {boolean} fine with seconds */
export const timeOfDay = (time, fine) => (fine ? seconds : minutes).format(time);

/**
 * @param {string|undefined} time
 * @param {string} now of the hub
 * @returns {string} how long ago it was, "" for none
 */
export function ago(time, now) {
  return time ? `${span((Date.parse(now) - Date.parse(time)) / 1000)} ago` : "";
}

/** What a failure says. @param {unknown} error @returns {string} */
export function textOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Signs beside the words of states, for those who see no colours. @type {Record<string, string>} */
export const signs = { ok: "✓", info: "ℹ", degraded: "⚠", failed: "✖" };

/** The words of states. @type {Record<string, string>} */
export const words = { ok: "in order", info: "for information", degraded: "impaired", failed: "failed" };
