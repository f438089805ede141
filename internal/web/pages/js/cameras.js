// The page of all streams.
import { Refusal, every, get } from "./api.js";
import { at, facts, fill, h } from "./dom.js";
import { ago, bitrate, bytes, span, textOf, when } from "./format.js";
import { draw } from "./picture.js";
import { begin, chip, worst } from "./shell.js";

/** @typedef {import("./types.js").Status} Status */
/** @typedef {import("./types.js").Stream} Stream */
/** @typedef {{item: HTMLElement, state: HTMLElement, body: HTMLElement, canvas: HTMLCanvasElement, taken: HTMLElement, seen: boolean}} Card */

const verdicts = /** @type {const} */ ({ healthy: ["ok", "The hub is in order"], degraded: ["degraded", "The hub is impaired"],
  down: ["failed", "The hub does not work"] });

/** The cards that are shown, by stream: they stay, so that the focus does. @type {Map<string, Card>} */
const cards = new Map();

const watching = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const card = cards.get(entry.target.getAttribute("data-stream") ?? "");
    if (card) card.seen = entry.isIntersecting;
  }
});

/** A link to the page of a stream. @param {string} name */
function linkTo(name) {
  return h("a", { href: `/camera?${new URLSearchParams({ stream: name })}` }, name);
}

/** @param {string} name @returns {Card} */
function newCard(name) {
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { width: 320, height: 180, role: "img", "aria-label": `No picture of ${name} yet` }));
  const state = h("span");
  const body = h("div");
  const taken = h("p", { class: "taken" }, "No picture yet");
  const item = h("li", { class: "card", "data-stream": name }, h("div", { class: "head" }, h("h2", {}, linkTo(name)), state),
    h("div", { class: "picture" }, canvas), taken, body);
  watching.observe(item);
  return { item, state, body, canvas, taken, seen: true };
}

/** @param {Stream} stream @param {string} now */
function update(stream, now) {
  const card = cards.get(stream.name) ?? newCard(stream.name);
  cards.set(stream.name, card);
  const conditions = stream.conditions ?? [];
  const { recorder, uploader, space } = stream;
  const backlog = uploader.backlogBytes > 0
    ? `${bytes(uploader.backlogBytes)}, ${span(uploader.backlogSeconds)}` + (uploader.backlogDone ? `, done ${when(uploader.backlogDone)}` : "")
    : "";
  fill(card.state, chip(worst(conditions), recorder.state || "off"));
  fill(card.body, ...conditions.map((c) => h("div", { class: `notice ${c.severity}` }, h("p", {}, c.text))), facts([
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
    ["Recordings", stream.wanted.keep],
  ]));
  return card.item;
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
    h("li", { class: "card" }, h("h3", {}, linkTo(o.name)), facts([
      ["On the hub", bytes(o.usedBytes)], ["Not uploaded", o.notUploadedBytes ? bytes(o.notUploadedBytes) : ""],
      ["From", when(o.oldest)], ["To", when(o.newest)], ["Keeps", o.policy],
    ])))));
}

/** @param {Status} status */
function wall(status) {
  const list = at("wall");
  const items = status.streams.map((s) => update(s, status.time));
  for (const [name, card] of cards) {
    if (items.includes(card.item)) continue;
    watching.unobserve(card.item);
    cards.delete(name);
  }
  const same = list.children.length === items.length && items.every((item, i) => list.children[i] === item);
  if (!same) fill(list, ...items);
  if (items.length === 0) fill(list, h("li", {}, "No stream is configured for this hub yet."));
}

/** @param {string} name @param {Card} card */
async function picture(name, card) {
  try {
    const taken = when(await draw(card.canvas, name));
    card.taken.textContent = taken;
    card.canvas.setAttribute("aria-label", `Picture of ${name}, recorded ${taken}`);
  } catch (error) {
    const missing = error instanceof Refusal && error.status === 404;
    card.taken.textContent = missing ? "No picture yet" : textOf(error);
  }
}

await begin();
let first = true;
every(5, async () => {
  /** @type {Status} */
  const status = await get("/v1/status");
  fill(at("summary"), ...summary(status));
  wall(status);
  orphans(status);
  if (first) every(5, pictures);
  first = false;
});

/** Draws the pictures that can be seen, two at a time. */
async function pictures() {
  const waiting = [...cards].filter(([, card]) => card.seen);
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await picture(...next);
  };
  await Promise.all([work(), work()]);
}
