// What the time line shows, read from the hub.
import { get } from "./api.js";
import { span, when } from "./format.js";

/** @typedef {import("./timeline.js").Span} Span */
/**
 * @typedef {{start: string, end: string, recordedFrom?: string, recordedTo?: string, state: string, pendingBytes: number, held?: boolean}} Segment
 * @typedef {{segments: Segment[], next?: string}} Page
 * @typedef {{from: string, to: string, seconds: number, cause: string, text?: string, ongoing?: boolean}} Gap
 * @typedef {{id: string, from: string, to: string, reason?: string, open: boolean}} Event
 */

const most = 10000; // segments of a page
const joined = 2500; // ms between recordings that are drawn as one

/**
 * @param {string} stream
 * @param {number} from
 * @param {number} to
 * @returns {Promise<import("./timeline.js").Lanes>}
 */
export async function lanesOf(stream, from, to) {
  const query = new URLSearchParams({ stream, from: String(Math.round(from)), to: String(Math.round(to)) });
  const read = `${query}&limit=${most}&read=0`;
  /** @type {[Page, {gaps: Gap[]}, Event[]]} */
  const [page, gaps, events] = await Promise.all([get(`/v1/segments?${read}`), get(`/v1/gaps?${read}`),
    get(`/v1/events?${query}&limit=${most}`).catch(() => [])]);
  const list = (page.segments ?? []).map((s) => ({ ...s, from: Date.parse(s.recordedFrom ?? s.start), to: Date.parse(s.recordedTo ?? s.end) }));
  const inCloud = list.filter((s) => s.state === "uploaded" || s.state === "refused" || s.pendingBytes === 0);
  return {
    recorded: join(list, "Recorded"), cloud: join(inCloud, "In the cloud"), held: join(list.filter((s) => s.held), "Held"),
    events: events.map((e) => ({ from: Date.parse(e.from), to: Date.parse(e.to), title: `${e.reason || "Event"}, ${when(e.from)}` })),
    gaps: (gaps.gaps ?? []).map((g) => ({ from: Date.parse(g.from), to: Date.parse(g.to),
      title: `Nothing recorded for ${span(g.seconds)}: ${g.text || g.cause}` })),
  };
}

/** Draws what follows each other as one. @param {{from: number, to: number}[]} list @param {string} what @returns {Span[]} */
function join(list, what) {
  /** @type {Span[]} */
  const out = [];
  for (const s of [...list].sort((a, b) => a.from - b.from)) {
    const last = out[out.length - 1];
    if (last && s.from - last.to < joined) last.to = Math.max(last.to, s.to);
    else out.push({ from: s.from, to: s.to, title: "" });
  }
  for (const s of out) s.title = `${what}: ${when(new Date(s.from).toISOString())}, ${span((s.to - s.from) / 1000)}`;
  return out;
}
