// The page of a stream: live, the time line, and what is done with a range.
import { Refusal, every, get, lines, refresh, send } from "./api.js";
import { at, fill, h } from "./dom.js";
import { bytes, span, textOf, when } from "./format.js";
import { lanesOf } from "./lanes.js";
import { Player } from "./player.js";
import { begin } from "./shell.js";
import { Timeline, zooms } from "./timeline.js";

const stream = new URLSearchParams(location.search).get("stream") ?? "";
if (!stream) location.replace("/"); // where they all are
const video = /** @type {HTMLVideoElement} */ (at("video"));
const zoom = /** @type {HTMLSelectElement} */ (at("zoom"));
const speed = /** @type {HTMLSelectElement} */ (at("speed"));
const player = new Player(video, stream, tell, (codec) => {
  at("sound").hidden = !codec;
  at("sound").textContent = codec ? `Without sound: browsers do not play audio of ${codec} in MP4. An export has it.` : "";
});
const settled = 300; // ms without a movement before the time line is read
const longestPlaylist = 6 * 3600 * 1000; // ms
let frame = 1 / 25; // s of a frame
let still = false; // it is to be paused

/** @type {{from?: number, to?: number}} */
const range = {};

document.title = `${stream} · kvs-edge-agent`;
at("name").textContent = stream;
const session = await begin();
const line = new Timeline(at("line"), { seek, moved });

/** @param {string} text */
function tell(text) {
  const said = at("said");
  said.textContent = text;
  said.hidden = !text;
}

/** @param {() => Promise<void>} act */
async function attempt(act) {
  try {
    await act();
  } catch (error) {
    tell(textOf(error));
  }
}

// Playback.
/** @param {number} time */
function seek(time) {
  if (time >= Date.now()) goLive();
  else player.seek(time);
  showTime();
  line.point(time);
}

/** @param {number} seconds */
function skip(seconds) {
  const now = player.time ?? player.goal;
  if (now !== undefined) seek(now + seconds * 1000);
}

/** @param {number} by 1 or -1 */
function stepFrames(by) {
  hold(true);
  player.step(by, frame);
}

/** Keeps what is wanted, also for what is loaded next, whatever the video does meanwhile. @param {boolean} paused */
function hold(paused) {
  still = paused;
  at("play").textContent = still ? "Play" : "Pause";
}

function toggle() {
  hold(!still);
  if (still) player.pause();
  else play();
}

function play() {
  video.play().catch((error) => {
    if (error.name === "NotAllowedError") hold(true); // the browser wants a click first
    else if (error.name !== "AbortError") tell(textOf(error)); // which says that other media are loaded, or that it was paused again
  });
}

function goLive() {
  hold(false);
  player.live();
}

// The browser's own keys and menus, and the system's.
for (const kind of ["play", "pause"]) {
  video.addEventListener(kind, () => {
    if (!video.ended) hold(video.paused);
  });
}
video.addEventListener("loadeddata", () => {
  player.speed = Number(speed.value);
  if (!still) play();
});
at("play").addEventListener("click", toggle);
at("live").addEventListener("click", goLive);
at("frame-back").addEventListener("click", () => stepFrames(-1));
at("frame-on").addEventListener("click", () => stepFrames(1));
speed.addEventListener("change", () => (player.speed = Number(speed.value)));
at("snapshot").addEventListener("click", snapshot);
at("mute").addEventListener("click", mute);

function mute() {
  video.muted = !video.muted;
  at("mute").textContent = video.muted ? "Sound on" : "Sound off";
}

function snapshot() {
  if (!video.videoWidth) {
    tell("There is no picture yet.");
    return;
  }
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { width: video.videoWidth, height: video.videoHeight }));
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  canvas.toBlob((picture) => {
    if (!picture) return;
    const address = URL.createObjectURL(picture);
    h("a", { href: address, download: fileName(player.time ?? Date.now(), "jpg") }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }, "image/jpeg", 0.92);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const target = /** @type {HTMLElement} */ (event.target);
  if (target.closest("input, select, textarea") || (event.key === " " && target.closest("button, a"))) return;
  const far = event.shiftKey ? 60 : 5;
  /** @type {Record<string, () => void>} */
  const keys = { " ": toggle, ArrowLeft: () => skip(-far), ArrowRight: () => skip(far), ",": () => stepFrames(-1), ".": () => stepFrames(1),
    m: mute, i: () => mark("from"), o: () => mark("to") };
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// The time line.
fill(zoom, ...zooms.map(([, text], i) => h("option", { value: i }, text)));
zoom.value = String(line.zoom);
zoom.addEventListener("change", () => line.scale(Number(zoom.value) - line.zoom, player.time ?? line.start + line.length / 2));
at("earlier").addEventListener("click", () => line.show(line.start - line.length / 2, line.zoom));
at("later").addEventListener("click", () => line.show(line.start + line.length / 2, line.zoom));
at("go").addEventListener("submit", (event) => {
  event.preventDefault();
  const time = Date.parse(/** @type {HTMLInputElement} */ (at("go-to")).value);
  if (!(time > 0)) {
    tell("Nothing can be recorded then: choose a time after 1970.");
    return;
  }
  line.show(Math.min(time - line.length / 2, Date.now() - line.length * 0.9), line.zoom);
  seek(time);
});

let waiting = 0;
function moved() {
  zoom.value = String(line.zoom);
  clearTimeout(waiting);
  waiting = setTimeout(() => refresh(readLine), settled);
}

async function readLine() {
  line.fill(await lanesOf(stream, line.start - line.length / 2, line.start + 1.5 * line.length));
}

/** Has the clock say the time of the picture, or that there is none yet. */
function showTime() {
  const time = player.time;
  at("clock").textContent = time === undefined ? "–" : `${when(time)}${player.isLive ? ", live" : ""}`;
  at("clock").dataset.time = time === undefined ? "" : String(time);
  return time;
}

setInterval(() => {
  const time = showTime();
  if (time === undefined) return;
  if (!video.paused && time > line.start + line.length) line.show(time - line.length * 0.8, line.zoom);
  line.point(time);
}, 200);

// A range.
/** @param {"from"|"to"} end */
function mark(end) {
  const time = player.time;
  if (time === undefined) return;
  range[end] = time;
  const { from, to } = range;
  const complete = from !== undefined && to !== undefined && from < to;
  at("acts").hidden = !complete;
  at("hold").hidden = !complete || session.role !== "operate";
  at("rights").hidden = !complete || session.role === "operate";
  at("upload").hidden = at("export-zip").hidden = session.role !== "operate";
  line.mark(complete ? [from, to] : undefined);
  at("range").textContent = complete
    ? `${when(from)} to ${when(to)}, ${span((to - from) / 1000)}`
    : from !== undefined && to !== undefined ? "The start is not before the end." : `Marked: ${when(time)}`;
  if (!complete) return;
  const query = new URLSearchParams({ stream, from: iso(from), to: iso(to) });
  for (const [kind, address] of [["mkv", `/v1/media?${query}&format=mkv`], ["mp4", `/v1/media?${query}&format=mp4`],
    ["zip", `/v1/evidence.zip?${query}`]]) {
    at(`export-${kind}`).setAttribute("href", address);
    at(`export-${kind}`).setAttribute("download", fileName(from, kind));
  }
}

/** Exports evidence, which the hub reads and signs before the first byte comes: whether it can is asked first, as a download says no reason. */
async function exportEvidence() {
  const link = /** @type {HTMLAnchorElement} */ (at("export-zip"));
  try {
    await send("HEAD", link.href);
  } catch (error) {
    if (error instanceof Refusal && error.status > 0) await send("GET", link.href); // which has the sentence
    throw error;
  }
  tell("The hub reads the range and signs it, then the download begins. `kvs-edge-agent verify --evidence` shows later that nobody changed it.");
  h("a", { href: link.href, download: link.download }).click();
}

/** @param {number} time */
function iso(time) {
  return new Date(time).toISOString();
}

/** The name of a file that begins at a time. @param {number} time @param {string} kind */
function fileName(time, kind) {
  return `${stream}-${iso(time).replaceAll(":", "")}.${kind}`;
}

function marked() {
  return { stream, from: iso(range.from ?? 0), to: iso(range.to ?? 0) };
}

at("mark-from").addEventListener("click", () => mark("from"));
at("mark-to").addEventListener("click", () => mark("to"));
at("export-zip").addEventListener("click", (event) => {
  event.preventDefault();
  attempt(exportEvidence);
});
at("share").addEventListener("click", () => attempt(async () => {
  const { from, to } = range;
  /** @type {[string, string][]} */
  const kinds = [["mp4", "as a file"]];
  if ((to ?? 0) - (from ?? 0) <= longestPlaylist) kinds.unshift(["hls", "to play, in VLC or Safari"]);
  const links = await Promise.all(kinds.map(async ([format, text]) => {
    const { path } = await (await send("POST", "/link", { ...marked(), format })).json();
    return h("li", {}, `${text}: `, h("a", { href: path, rel: "noreferrer", "data-format": format }, new URL(path, location.href).href));
  }));
  const said = at("said");
  fill(said, "For an hour, for players and people without a password, this range alone:", h("ul", { class: "mono" }, ...links));
  said.hidden = false;
}));
at("upload").addEventListener("click", () => attempt(async () => {
  tell("The upload begins.");
  const answer = await send("POST", "/v1/upload", marked());
  for await (const progress of lines(answer)) {
    if (progress.error) throw new Error(progress.error);
    tell(`${progress.done} of ${progress.fragments} fragments are uploaded, ${bytes(progress.bytes ?? 0)}` +
      (progress.finished ? ". The range is in the cloud." : "."));
  }
  await refresh(readLine);
}));
at("hold").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const reason = /** @type {HTMLInputElement} */ (at("reason")).value;
    const hold = await (await send("POST", "/v1/holds", { ...marked(), reason })).json();
    tell(`Held: ${hold.segments} recordings, ${bytes(hold.bytes)}. They are deleted by no rule until the hold is removed.`);
    await refresh(readLine);
  });
});

every(10, async () => {
  /** @type {import("./types.js").Status} */
  const status = await get("/v1/status");
  const known = status.streams.find((s) => s.name === stream);
  if (known && known.recorder.fps > 0) frame = 1 / known.recorder.fps;
});
every(10, readLine);
player.live();
