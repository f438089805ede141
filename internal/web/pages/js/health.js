// The page of what is wrong and what will be.
import { every, get } from "./api.js";
import { at, facts, fill, h, svg, table } from "./dom.js";
import { bytes, signs, span, when, words } from "./format.js";
import { begin, chip } from "./shell.js";

/** @typedef {import("./types.js").Status} Status */

/** The backlog of each stream since the page was opened. @type {Map<string, number[]>} */
const backlogs = new Map();
const most = 360; // points of a plot

/** @param {import("./types.js").ListedCondition[]} list */
function conditions(list) {
  const order = ["failed", "degraded", "info"];
  list.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  if (list.length === 0) return [h("p", { class: "notice ok" }, `${signs.ok} Everything is in order.`)];
  return list.map((c) => h("article", { class: `notice ${c.severity}` },
    h("h3", {}, `${signs[c.severity]} ${c.title ?? c.code}`, c.stream ? `: ${c.stream}` : ""),
    h("p", {}, c.text),
    h("p", { class: "meta" }, `${words[c.severity]}, since ${when(c.since)}. Code `, h("code", {}, c.code),
      c.help ? `; more in docs/${c.help}` : "")));
}

/** @param {number} part from 0 to 1 @param {string} label */
function bar(part, label) {
  const inner = h("div");
  inner.style.width = `${Math.round(Math.min(1, Math.max(0, part)) * 100)}%`;
  return h("div", { class: "bar", role: "img", "aria-label": label }, inner);
}

/** @param {import("./types.js").Forecast} f */
function forecast(f) {
  if (f.fullAt) return `is full ${when(f.fullAt)}`;
  return f.days > 0 ? `holds ${f.days.toFixed(1)} days of media` : "";
}

/** @param {Status} status */
function space(status) {
  const used = status.disk.totalBytes - status.disk.freeBytes;
  const text = `${bytes(used)} of ${bytes(status.disk.totalBytes)} are used`;
  return [h("p", {}, text), bar(status.disk.totalBytes ? used / status.disk.totalBytes : 0, text),
    facts([["Directory", h("code", {}, status.disk.directory)], ["If it continues as now", forecast(status.disk.forecast)],
      ["Deleted next", status.disk.forecast.nextDeletionBytes ? bytes(status.disk.forecast.nextDeletionBytes) : ""],
      ["of these not uploaded", status.disk.forecast.nextDeletionNotUploadedBytes
        ? bytes(status.disk.forecast.nextDeletionNotUploadedBytes) : ""]]),
    h("div", { class: "grid" }, ...status.streams.map((s) => {
      const label = `${s.name}: ${bytes(s.space.usedBytes)}${s.space.limitBytes ? ` of ${bytes(s.space.limitBytes)}` : ""}`;
      return h("div", { class: "card" }, h("h3", {}, label),
        s.space.limitBytes ? bar(s.space.usedBytes / s.space.limitBytes, label) : "", forecast(s.space.forecast));
    }))];
}

/** @param {number[]} points @param {string} label */
function plot(points, label) {
  const high = Math.max(1, ...points);
  const text = points.map((p, i) => `${(i * 100) / Math.max(1, points.length - 1)},${29 - (28 * p) / high}`).join(" ");
  return svg("svg", { class: "plot", viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("polyline", { points: text }));
}

/** @param {Status} status */
function backlog(status) {
  return h("div", { class: "grid" }, ...status.streams.map((s) => {
    const points = backlogs.get(s.name) ?? [];
    points.push(s.uploader.backlogBytes);
    backlogs.set(s.name, points.slice(-most));
    const text = `${bytes(s.uploader.backlogBytes)}, ${span(s.uploader.backlogSeconds)} of media`;
    return h("div", { class: "card" }, h("h3", {}, s.name), h("span", {}, text),
      plot(backlogs.get(s.name) ?? [], `${s.name}: the backlog since this page was opened, now ${text}`),
      s.uploader.backlogDone ? `Done ${when(s.uploader.backlogDone)} at the present speed` : "");
  }));
}

/** @param {Status} status */
function hub(status) {
  const off = (Date.parse(status.time) - Date.now()) / 1000;
  const cap = status.uploadCap;
  return facts([
    ["Version", status.version], ["Runs since", when(status.started)],
    ["Hub's time", `${when(status.time)}${Math.abs(off) > 5
      ? `: ${span(Math.abs(off))} ${off > 0 ? "ahead of" : "behind"} this device` : ", as this device"}`],
    ["Cap of the line", cap && `${bytes(cap.usedBytes)} of ${bytes(cap.capBytes)} (${cap.setting})`],
    ["Its period ends", cap && when(cap.resetsAt)],
    ["The cap", cap && (cap.suffices ? "suffices for this period" : cap.reachedAt && `is reached ${when(cap.reachedAt)}`)],
    ["Held back by the cap", cap?.notUploaded],
    ["Clock", cap && !cap.clockTrusted ? chip("degraded", "is not trusted: the period of the cap does not end") : ""],
  ]);
}

/** @param {import("./types.js").Usage[]} list */
function usage(list) {
  if (list.length === 0) return h("p", {}, "Nothing was uploaded in the last 7 days.");
  return h("div", {}, table("Uploaded in the last 7 days", [{ title: "Stream" }, { title: "Media", number: true }, { title: "Bytes", number: true },
    { title: "Fragments", number: true }, { title: "Calls of PutMedia", number: true }, { title: "Waiting", number: true }, { title: "Tier" }],
  list.map((u) => [u.stream, span(u.mediaSeconds), bytes(u.bytes), String(u.fragments), String(u.calls), bytes(u.waitingBytes),
    u.storageTier ?? "not known"])),
  h("p", { class: "hint" }, "From these numbers ", h("code", {}, "kvs-edge-agent cost"), " on the hub reckons what they cost."));
}

await begin();
every(5, async () => {
  /** @type {Status} */
  const status = await get("/v1/status");
  fill(at("conditions"), ...conditions(await get("/v1/conditions")));
  fill(at("space"), ...space(status));
  fill(at("backlog"), backlog(status));
  fill(at("hub"), hub(status));
});
every(300, async () => fill(at("cost"), usage(await get("/v1/usage"))));
