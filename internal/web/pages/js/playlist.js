// Playlists of the hub, as far as the player needs them. Source: RFC 8216.
import { Refusal, send } from "./api.js";

/**
 * A media segment: from when, how long (ms), where it is, and of which recording. Broken is that it does not continue the one before.
 * @typedef {{at: number, length: number, address: string, recording: string, map: string, broken: boolean}} Entry
 */

const base = "/v1/hls/";

/**
 * The media segments of a stream: of a range (ms since 1970), or without one the newest.
 * @param {string} stream
 * @param {number} [from]
 * @param {number} [to]
 * @returns {Promise<Entry[]>} none where nothing is recorded
 */
export async function entries(stream, from, to) {
  const text = await read("media.m3u8", stream, from, to);
  return text ? parse(text) : [];
}

/**
 * The codecs of a stream, as browsers name them.
 * @param {string} stream
 * @param {number} [from]
 * @param {number} [to]
 * @returns {Promise<string>} "" where nothing is recorded
 */
export async function codecs(stream, from, to) {
  return (await read("master.m3u8", stream, from, to)).match(/CODECS="([^"]*)"/)?.[1] ?? "";
}

/** @param {string} name @param {string} stream @param {number} [from] @param {number} [to] */
async function read(name, stream, from, to) {
  const query = new URLSearchParams({ stream });
  if (from !== undefined && to !== undefined) {
    query.set("from", String(Math.round(from)));
    query.set("to", String(Math.round(to)));
  }
  try {
    return await (await send("GET", `${base}${name}?${query}`)).text();
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return "";
    throw error;
  }
}

/** @param {string} text @returns {Entry[]} */
function parse(text) {
  /** @type {Entry[]} */
  const list = [];
  let [at, length, map, broken] = [0, 0, "", false];
  for (const line of text.split("\n")) {
    const [tag, value] = [line.split(":", 1)[0], line.slice(line.indexOf(":") + 1)];
    if (tag === "#EXT-X-PROGRAM-DATE-TIME") at = Date.parse(value);
    else if (tag === "#EXTINF") length = parseFloat(value) * 1000;
    else if (tag === "#EXT-X-DISCONTINUITY") broken = true;
    else if (tag === "#EXT-X-MAP") map = base + (value.match(/URI="([^"]*)"/)?.[1] ?? "");
    else if (line && !line.startsWith("#")) {
      list.push({ at, length, address: base + line, recording: line.match(/[?&]segment=([^&]*)/)?.[1] ?? "", map, broken });
      at += length;
      broken = false;
    }
  }
  return list;
}
