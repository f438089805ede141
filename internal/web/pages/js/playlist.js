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
 * What is played of a stream: the codecs, as browsers name them, and that of audio that they do not play.
 * @param {string} stream
 * @param {number} [from]
 * @param {number} [to]
 * @returns {Promise<{names: string, leftOut: string}>} empty where nothing is recorded
 */
export async function describe(stream, from, to) {
  const text = await read("master.m3u8", stream, from, to);
  return { names: text.match(/CODECS="([^"]*)"/)?.[1] ?? "", leftOut: text.match(/^# silent: .* audio of "(.*)" in MP4$/m)?.[1].replace(
    /\\u([0-9a-f]{4})/g, (_, code) => String.fromCharCode(parseInt(code, 16))) ?? "" };
}

/** The address of a playlist. @param {string} name @param {string} stream @param {number} [from] @param {number} [to] */
export function addressOf(name, stream, from, to) {
  const query = new URLSearchParams({ stream });
  if (from !== undefined && to !== undefined) {
    query.set("from", String(Math.round(from)));
    query.set("to", String(Math.round(to)));
  }
  return `${base}${name}?${query}`;
}

/** @param {string} name @param {string} stream @param {number} [from] @param {number} [to] */
async function read(name, stream, from, to) {
  try {
    return await (await send("GET", addressOf(name, stream, from, to))).text();
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
