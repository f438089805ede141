// The page of what is wrong and what will be.
import { every, get, refresh } from "./api.js";
import { at, facts, fill, h, table } from "./dom.js";
import { bitrate, bytes, signs, span, when, words } from "./format.js";
import { Plot, foreseen } from "./plot.js";
import { begin, chip } from "./shell.js";

/** @typedef {import("./types.js").Status} Status */

/** The plots that are shown, by their titles. @type {Map<string, Plot>} */
const plots = new Map();
const range = /** @type {HTMLSelectElement} */ (at("plot-range"));

/** What the hub remembers, and how it is now. @type {{past: import("./types.js").History|undefined, status: Status|undefined}} */
const known = { past: undefined, status: undefined };

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
  return [bar(status.disk.totalBytes ? used / status.disk.totalBytes : 0, text),
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

/** @param {string} title */
function plotOf(title) {
  const plot = plots.get(title) ?? new Plot(title);
  plots.set(title, plot);
  return plot;
}

/** Shows plots in a place; those that are there already stay, and the focus with them. @param {string} id @param {Plot[]} list */
function place(id, list) {
  const elements = list.map((p) => p.element);
  const box = at(id);
  if (box.children.length !== elements.length || elements.some((e, i) => box.children[i] !== e)) fill(box, ...elements);
}

/** The points of a list of the history, which ends with its last time. @param {number[]} times @param {number[]} values @returns {[number, number][]} */
function points(times, values) {
  const later = times.slice(times.length - values.length);
  return values.map((value, i) => [later[i], value]);
}

/** Draws what the hub remembers, how it is now, and what it foresees. */
function draw() {
  const { past, status } = known;
  if (!past || !status) return;
  const now = Date.parse(status.time);
  const from = past.times.length > 0 ? past.times[0] - past.stepSeconds * 1000 : now - 60000;
  const frame = { from, now, gap: past.stepSeconds * 2500 };
  const times = past.times.map((t) => Math.min(t, now)); // the last step has not ended
  at("plot-since").textContent = `The hub remembers since ${when(past.since ?? status.time)}: in memory, so from its last start on.`;
  place("backlog", status.streams.map((s) => backlog(s, past.streams.find((p) => p.name === s.name)?.backlogBytes ?? [], times, frame)));
  place("disk-plot", [diskPlot(status, past, times, frame)]);
  place("line-plot", past.lineSentBytes ? [linePlot(past, times, frame)] : []);
}

/** @typedef {{from: number, now: number, gap: number}} Frame */

/** How far a plot goes: to what is foreseen, but no further than the past. @param {Frame} frame @param {string|undefined} then */
function endOf(frame, then) {
  const until = then ? Date.parse(then) : frame.now;
  return Math.max(frame.now, Math.min(until, frame.now + (frame.now - frame.from)));
}

/** @param {import("./types.js").Stream} s @param {number[]} past @param {number[]} times @param {Frame} frame */
function backlog(s, past, times, frame) {
  const { backlogBytes, backlogSeconds, backlogDone } = s.uploader;
  const to = endOf(frame, backlogDone);
  const plot = plotOf(`Backlog of ${s.name}`);
  plot.show({ ...frame, to, write: bytes, lines: [
    { name: "Not uploaded", kind: "line", points: [...points(times, past), [frame.now, backlogBytes]] },
    { name: "Foreseen", kind: "forecast", points: backlogDone ? foreseen([frame.now, backlogBytes], [Date.parse(backlogDone), 0], to) : [] },
  ], text: `${bytes(backlogBytes)}, ${span(backlogSeconds)} of media` + (backlogDone ? `; done ${when(backlogDone)} at the present speed` : "") });
  return plot;
}

/** @param {Status} status @param {import("./types.js").History} past @param {number[]} times @param {Frame} frame */
function diskPlot(status, past, times, frame) {
  const { totalBytes, freeBytes, forecast: next } = status.disk;
  const used = totalBytes - freeBytes;
  const to = endOf(frame, next.fullAt);
  const plot = plotOf("Disk over time");
  plot.show({ ...frame, to, write: bytes, limit: { value: totalBytes, name: "All of it" }, lines: [
    { name: "Used", kind: "line", points: [...points(times, past.diskUsedBytes), [frame.now, used]] },
    { name: "Foreseen", kind: "forecast", points: next.fullAt ? foreseen([frame.now, used], [Date.parse(next.fullAt), totalBytes], to) : [] },
  ], text: `${bytes(used)} of ${bytes(totalBytes)} are used` + (forecast(next) ? `; it ${forecast(next)}` : "") });
  return plot;
}

/** @param {import("./types.js").History} past @param {number[]} times @param {Frame} frame */
function linePlot(past, times, frame) {
  /** @param {number[]} list */
  const rates = (list) => points(times, list.map((n, i) => {
    const seconds = i < list.length - 1 ? past.stepSeconds : Math.max(1, (frame.now - past.times[i]) / 1000 + past.stepSeconds);
    return (n * 8) / Math.min(seconds, past.stepSeconds);
  }));
  const sent = past.lineSentBytes ?? [];
  const received = past.lineReceivedBytes ?? [];
  /** @param {number[]} list */
  const sum = (list) => bytes(list.reduce((a, b) => a + b, 0));
  const plot = plotOf("Line to AWS");
  plot.show({ ...frame, to: frame.now, write: bitrate, lines: [{ name: "Sent", kind: "line", points: rates(sent) },
    { name: "Received", kind: "other", points: rates(received) }], text: `${sum(sent)} sent and ${sum(received)} received in this time` });
  return plot;
}

/** @param {import("./types.js").Costs} costs */
function costPlot(costs) {
  const noon = 12 * 3600 * 1000;
  /** @type {[number, number][]} */
  const days = costs.days.map((d) => [Date.parse(d.date) + noon, d.ingest]);
  const money = new Intl.NumberFormat(undefined, { style: "currency", currency: costs.currency }).format;
  const all = days.reduce((sum, d) => sum + d[1], 0);
  const assumed = costs.tierAssumed?.length ? ` The tier of ${costs.tierAssumed.join(", ")} is not known, and taken to be HOT.` : "";
  const plot = plotOf("Ingest, each day");
  plot.show({ from: days[0][0] - 2 * noon, to: days[days.length - 1][0], day: true, write: money, lines: [{ name: "Ingest", kind: "bars", points: days }],
    text: `${money(all)} in ${days.length} days for taking in ${bytes(costs.days.reduce((sum, d) => sum + d.bytes, 0))}, ` +
      `at the prices of ${costs.region}, ${costs.date}.${assumed}` });
  place("cost-plot", [plot]);
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
  known.status = status;
  fill(at("conditions"), ...conditions(await get("/v1/conditions")));
  fill(at("space"), ...space(status));
  fill(at("hub"), hub(status));
  draw();
});
async function remember() {
  known.status ??= /** @type {Status} */ (await get("/v1/status")); // its clock counts, not that of this device
  const from = Date.parse(known.status.time) - Number(range.value) * 3600 * 1000;
  known.past = await get(`/v1/history?from=${from}`);
  draw();
}
every(60, remember);
range.addEventListener("change", () => refresh(remember));
every(300, async () => {
  fill(at("cost"), usage(await get("/v1/usage")));
  costPlot(await get("/v1/costs"));
});
