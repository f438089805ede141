// The page of all streams.
import { every, get } from "./api.js";
import { at, facts, fill, h } from "./dom.js";
import { ago, bitrate, bytes, span, when } from "./format.js";
import { begin, chip, worst } from "./shell.js";

/** @typedef {import("./types.js").Status} Status */
/** @typedef {import("./types.js").Stream} Stream */

const verdicts = /** @type {const} */ ({ healthy: ["ok", "The hub is in order"], degraded: ["degraded", "The hub is impaired"],
  down: ["failed", "The hub does not work"] });

/** @param {Stream} stream @param {string} now @param {import("./types.js").Session} session */
function card(stream, now, session) {
  const conditions = stream.conditions ?? [];
  const { recorder, uploader, space } = stream;
  const state = worst(conditions);
  const backlog = uploader.backlogBytes > 0
    ? `${bytes(uploader.backlogBytes)}, ${span(uploader.backlogSeconds)}` + (uploader.backlogDone ? `, done ${when(uploader.backlogDone)}` : "")
    : "";
  return h("li", { class: "card", "data-stream": stream.name, "data-role": session.role },
    h("div", { class: "head" }, h("h2", {}, stream.name), chip(state, recorder.state || "off")),
    ...conditions.map((c) => h("div", { class: `notice ${c.severity}` }, h("p", {}, c.text))),
    facts([
      ["Last frame", ago(recorder.lastFrame, now)],
      ["Video", recorder.fps > 0 ? `${recorder.fps.toFixed(1)} frames/s, ${bitrate(recorder.bitrateBps)}` : ""],
      ["Frames lost", recorder.framesLost > 0 ? `${recorder.framesLost} of ${recorder.framesRecorded + recorder.framesLost}` : ""],
      ["Upload", uploader.state],
      ["Not uploaded", backlog],
      ["In the cloud until", when(uploader.lastPersistedMedia)],
      ["On the hub", `${bytes(space.usedBytes)}${space.limitBytes ? ` of ${bytes(space.limitBytes)}` : ""}` +
        (space.oldest ? `, since ${when(space.oldest)}` : "")],
      ["Held", space.heldBytes ? bytes(space.heldBytes) : ""],
      ["Records", stream.wanted.record],
      ["Keeps", stream.wanted.keep],
    ]));
}

/** @param {Status} status */
function summary(status) {
  const [kind, text] = verdicts[status.verdict] ?? verdicts.down;
  const recording = status.streams.filter((s) => s.recorder.state === "recording").length;
  return [chip(kind, text), h("span", {}, `${recording} of ${status.streams.length} streams record`),
    h("span", {}, `Hub's time: ${when(status.time)}`)];
}

/** @param {Status} status */
function orphans(status) {
  const list = status.orphans ?? [];
  const section = at("orphans");
  section.hidden = list.length === 0;
  fill(section, h("h2", {}, "Recordings of streams that are not configured"), h("ul", { class: "wall" }, ...list.map((o) =>
    h("li", { class: "card" }, h("h3", {}, o.name), facts([
      ["On the hub", bytes(o.usedBytes)], ["Not uploaded", o.notUploadedBytes ? bytes(o.notUploadedBytes) : ""],
      ["From", when(o.oldest)], ["To", when(o.newest)], ["Keeps", o.policy],
    ])))));
}

const session = await begin();
every(5, async () => {
  /** @type {Status} */
  const status = await get("/v1/status");
  fill(at("summary"), ...summary(status));
  fill(at("wall"), ...status.streams.map((s) => card(s, status.time, session)));
  if (status.streams.length === 0) fill(at("wall"), h("li", {}, "No stream is configured for this hub yet."));
  orphans(status);
});
