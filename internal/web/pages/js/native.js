// Playback by the browser's own HLS, where it has no Media Source Extensions, as on iPhones: the playlist is the source of the video, and the
// time of recording follows from what the playlist lists.
import { Refusal } from "./api.js";

/** @typedef {import("./playlist.js").Entry} Entry */

const type = "application/vnd.apple.mpegurl";

/** A playlist that the browser plays. */
export class Native {
  /** @param {HTMLVideoElement} video @param {Entry[]} list what the playlist lists @param {boolean} live */
  constructor(video, list, live) {
    this.video = video;
    this.list = list;
    this.live = live;
    /** The time of recording at 0 s of a live video. @type {number|undefined} */
    this.origin = undefined;
  }

  /** Whether the browser plays HLS by itself. @param {HTMLVideoElement} video */
  static offered(video) {
    return video.canPlayType(type) !== "";
  }

  /**
   * Plays from a time on, until the playlist ends or the signal stops it.
   * @param {string} address of the playlist
   * @param {number} start ms since 1970
   * @param {AbortSignal} stop
   * @returns {Promise<void>}
   */
  async play(address, start, stop) {
    const { video } = this;
    video.src = address;
    await this.event("loadedmetadata", stop);
    if (!this.live && !stop.aborted) video.currentTime = this.secondOf(start);
    await this.event("ended", stop);
  }

  /** Waits for an event of the video. @param {string} name @param {AbortSignal} stop @returns {Promise<void>} */
  event(name, stop) {
    const { video } = this;
    return new Promise((resolve, reject) => {
      if (stop.aborted) return resolve();
      const ended = new AbortController();
      const end = () => {
        ended.abort();
        resolve();
      };
      video.addEventListener(name, end, { signal: ended.signal });
      stop.addEventListener("abort", end, { signal: ended.signal });
      video.addEventListener("error", () => {
        ended.abort();
        const lost = video.error?.code === MediaError.MEDIA_ERR_NETWORK;
        reject(lost ? new Refusal(0, "The hub does not answer.") : new Error("The browser cannot play this recording. An export plays in other players."));
      }, { signal: ended.signal });
    });
  }

  /** The time of recording of the picture, in ms since 1970; undefined while it is not known. @returns {number|undefined} */
  get time() {
    const { video, list } = this;
    if (video.readyState === 0 || list.length === 0) return undefined;
    if (this.live) return this.liveTime();
    let left = video.currentTime * 1000;
    for (const entry of list) {
      if (left < entry.length) return entry.at + left;
      left -= entry.length;
    }
    const last = list[list.length - 1];
    return last.at + last.length;
  }

  /** @returns {number|undefined} */
  liveTime() {
    const { video, list } = this;
    const asked = /** @type {HTMLVideoElement & {getStartDate?: () => Date}} */ (video);
    const start = asked.getStartDate?.().getTime();
    if (start !== undefined && !Number.isNaN(start)) return start + video.currentTime * 1000; // Safari, from EXT-X-PROGRAM-DATE-TIME
    if (!this.origin && video.buffered.length > 0) {
      const last = list[list.length - 1]; // what is loaded first ends with the newest media segment
      this.origin = last.at + last.length - video.buffered.end(video.buffered.length - 1) * 1000;
    }
    return this.origin && this.origin + video.currentTime * 1000;
  }

  /** Whether the playlist has a time. @param {number} time */
  has(time) {
    const last = this.list[this.list.length - 1];
    return !this.live && last !== undefined && time >= this.list[0].at && time < last.at + last.length;
  }

  /** The second of the video at a time of recording, or where the recording goes on after it. @param {number} time */
  secondOf(time) {
    let before = 0;
    for (const entry of this.list) {
      if (time < entry.at + entry.length) return (before + Math.max(0, time - entry.at)) / 1000;
      before += entry.length;
    }
    return before / 1000;
  }
}
