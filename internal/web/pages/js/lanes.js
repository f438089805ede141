// What the time line shows, read from the hub.
import { get } from "./api.js";
import { span, when } from "./format.js";

/** @typedef {import("./timeline.js").Span} Span */
/**
 * @typedef {{from: string, to: string, columnMs: number, recorded: number[], uploaded: number[], refused?: number[], held?: number[],
 *   gaps: {from: string, to: string, cause?: string}[], moreGaps?: number, epochs?: {epoch: number, from: string}[],
 *   events?: {id: string, from: string, to: string, reason?: string}[], lost?: {from: string, to: string, reason: string}[]}} Overview
 */

const columns = 1200;
const full = 95; // percent of a column that is drawn as all of it: fragments end within columns

/**
 * @param {string} stream
 * @param {number} from ms since 1970
 * @param {number} to
 * @returns {Promise<import("./timeline.js").Lanes>}
 */
export async function lanesOf(stream, from, to) {
  const query = new URLSearchParams({ stream, from: String(Math.round(from)), to: String(Math.round(to)), columns: String(columns) });
  /** @type {Overview} */
  const all = await get(`/v1/overview?${query}`);
  const start = Date.parse(all.from);
  const end = Date.parse(all.to);
  /** @param {number[]|undefined} parts @param {string} what */
  const spans = (parts, what) => join(parts ?? [], start, end, all.columnMs, what);
  return {
    recorded: spans(all.recorded, "Recorded"), cloud: spans(all.uploaded, "In the cloud"), refused: spans(all.refused, "Refused by the cloud"),
    held: spans(all.held, "Held"),
    events: (all.events ?? []).map((e) => ({ ...times(e), title: () => `${e.reason || "Event"}, ${when(e.from)}` })),
    gaps: all.gaps.map((g) => ({ ...times(g), title: () => `No recording here of ${length(times(g))}, ${when(g.from)}: ${g.cause || "cause not known"}` })),
    lost: (all.lost ?? []).map((l) => ({ ...times(l),
      title: () => `Deleted before its upload, ${when(l.from)}, ${length(times(l))}, because ${l.reason}` })),
    epochs: (all.epochs ?? []).map((e) => ({ from: Date.parse(e.from), to: Date.parse(e.from), title: () => `The clock was corrected, ${when(e.from)}` })),
  };
}

/** @param {{from: string, to: string}} range */
function times(range) {
  return { from: Date.parse(range.from), to: Date.parse(range.to) };
}

/** @param {{from: number, to: number}} range */
function length(range) {
  return span((range.to - range.from) / 1000);
}

/**
 * Draws columns that follow each other and are alike as one.
 * @param {number[]} parts percent of each column
 * @param {number} start
 * @param {number} end
 * @param {number} width ms of a column
 * @param {string} what
 * @returns {Span[]}
 */
function join(parts, start, end, width, what) {
  /** @type {Span[]} */
  const out = [];
  parts.forEach((percent, i) => {
    if (percent === 0) return;
    const from = start + i * width;
    const to = Math.min(end, from + width);
    const partly = percent < full;
    const last = out[out.length - 1];
    if (last && last.to === from && last.partly === partly) last.to = to;
    else {
      const one = { from, to, partly, title: () => `${what}${partly ? " in part" : ""}: ${when(one.from)}, ${length(one)}` };
      out.push(one);
    }
  });
  return out;
}
