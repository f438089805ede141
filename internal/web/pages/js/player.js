// The player: media segments of the hub in Media Source Extensions, on a clock of the time of recording; without these, the browser's own HLS.
import { Refusal, get, send } from "./api.js";
import { textOf } from "./format.js";
import { Native } from "./native.js";
import { addressOf, describe, entries } from "./playlist.js";

/** @typedef {import("./playlist.js").Entry} Entry */

const ahead = 15; // s that are loaded before they are played
const behind = 60; // s that are kept after they were played
const page = 2 * 60 * 1000; // ms of a playlist: a seek waits until the hub has opened all recordings of it
const step = 250; // ms between looks at the buffer
const patience = 2000; // ms between tries where nothing is recorded yet, or the hub does not answer
const latest = 8; // media segments of a live stream that are loaded at once
const tolerance = 100; // ms that a media segment may differ from the end of the one before
const spare = 0.6; // s of a live stream that may be left when more arrives: with more it plays faster
const hurry = 1.1; // how fast
const recent = 3; // arrivals whose spare is looked at
const inside = 0.6; // of a frame's length: a step that skips no frame
const hair = 0.002; // s that times of frames may be off by rounding

/**
 * What media is handed to, undefined where the browser has none: Safari on iPhones has the managed one alone, since iOS 17.1.
 * @returns {typeof MediaSource|undefined}
 */
function mediaSource() {
  const all = /** @type {{ManagedMediaSource?: typeof MediaSource, MediaSource?: typeof MediaSource}} */ (/** @type {unknown} */ (window));
  return all.ManagedMediaSource ?? all.MediaSource;
}

/** Plays one stream. */
export class Player {
  /**
   * @param {HTMLVideoElement} video
   * @param {string} stream
   * @param {(text: string) => void} say what a person should know; "" for nothing
   * @param {(codec: string) => void} silent which audio is not played; "" for none
   */
  constructor(video, stream, say, silent) {
    this.video = video;
    this.stream = stream;
    this.say = say;
    this.silent = silent;
    /** @type {Native|undefined} */
    this.native = undefined;
    this.ending = new AbortController(); // of a session of the browser's own HLS
    this.turn = 0; // of the session: each ends the one before
    this.origin = 0; // the time of recording at 0 s of the video, ms since 1970
    this.isLive = false;
    /** What was gone to last, ms since 1970: it may still be loaded. undefined for live. @type {number|undefined} */
    this.goal = undefined;
    this.pace = 1;
    /** What was left to play when more of a live stream arrived, newest last. @type {number[]} */
    this.left = [];
    /** Where in the video the frame begins that is shown; unknown from a jump on until its picture is there. @type {number|undefined} */
    this.shown = undefined;
    this.jumped = 0; // when, by performance.now()
    this.arrived = () => {}; // called with the picture of a jump
    this.steps = Promise.resolve();
    if ("requestVideoFrameCallback" in video) {
      /** @type {VideoFrameRequestCallback} */
      const presented = (_, frame) => {
        if (frame.presentationTime >= this.jumped) { // what was presented before may be told of late
          this.shown = frame.mediaTime;
          this.arrived();
        }
        video.requestVideoFrameCallback(presented);
      };
      video.requestVideoFrameCallback(presented);
    }
  }

  /** Jumps to a second of the video. @param {number} second */
  jump(second) {
    this.jumped = performance.now();
    this.shown = undefined;
    this.video.currentTime = second;
  }

  /** How fast it plays. @param {number} pace */
  set speed(pace) {
    this.pace = pace;
    this.left = [];
    this.video.playbackRate = pace;
  }

  /** Stops, and shows the frame of the time that it stops at: the picture may be behind, at high speed or right after a seek. */
  pause() {
    const { video } = this;
    if (video.paused) return;
    video.pause();
    if (this.rangeAt(video.currentTime)) this.queue(() => this.put(video.currentTime));
  }

  /**
   * Shows the next frame, or the one before.
   * @param {number} by 1 or -1
   * @param {number} frame s of a frame, about
   */
  step(by, frame) {
    this.pause();
    this.queue(() => this.stepOnce(by, frame));
  }

  /** Does something once what was asked for before is done. @param {() => Promise<void>} act */
  queue(act) {
    const { turn } = this;
    this.steps = this.steps.then(() => (turn === this.turn ? act() : undefined)).catch(() => {});
  }

  /** @param {number} by @param {number} frame */
  async stepOnce(by, frame) {
    const { shown, video } = this;
    const before = shown ?? video.currentTime - (by < 0 ? frame : 0);
    if (by < 0 && this.origin && !this.rangeAt(before - hair)) {
      this.seek(this.origin + (before - hair) * 1000);
    } else if (by < 0) {
      await this.put(before - hair);
    } else if (shown === undefined) {
      await this.put(before + frame);
    } else {
      // The next one begins nobody knows when: it is looked for without passing it.
      for (let tries = 1; tries < 10 && (this.shown === undefined || this.shown === before); tries++) {
        await this.put(before + hair + tries * inside * frame);
      }
    }
  }

  /** Goes to a second of the video, and waits until its picture is shown. @param {number} second */
  async put(second) {
    const { video } = this;
    const presented = "requestVideoFrameCallback" in video
      ? new Promise((resolve) => (this.arrived = () => resolve(undefined)))
      : sleep(step);
    const sought = new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
    this.jump(second);
    await Promise.race([sought, sleep(patience)]);
    await Promise.race([presented, sleep(patience)]);
  }

  /** The time of recording of the picture, in ms since 1970; undefined while there is none. */
  get time() {
    if (this.native) return this.native.time;
    return this.origin ? this.origin + this.video.currentTime * 1000 : undefined;
  }

  /** Plays what is recorded now. */
  live() {
    this.isLive = true;
    this.goal = undefined;
    this.begin(undefined);
  }

  /**
   * Plays from a time on.
   * @param {number} time ms since 1970
   */
  seek(time) {
    this.goal = time;
    if (this.native?.has(time) && !this.isLive) {
      this.jump(this.native.secondOf(time));
      return;
    }
    const inside = this.origin && !this.isLive ? this.rangeAt((time - this.origin) / 1000) : undefined;
    this.isLive = false;
    if (inside) this.jump((time - this.origin) / 1000);
    else this.begin(time);
  }

  /** The part of the buffer that has a second of the video. @param {number} second */
  rangeAt(second) {
    const list = this.video.buffered;
    for (let i = 0; i < list.length; i++) {
      if (second >= list.start(i) - 0.01 && second < list.end(i)) return { start: list.start(i), end: list.end(i) };
    }
    return undefined;
  }

  /**
   * Plays from a time on, or live, until it is called again. What the hub refuses or does not answer is tried again.
   * @param {number|undefined} time
   */
  async begin(time) {
    const turn = ++this.turn;
    this.ending.abort();
    this.say("");
    while (turn === this.turn) {
      this.origin = 0;
      this.shown = undefined;
      this.jumped = performance.now();
      this.left = [];
      this.native = undefined;
      try {
        time = (await this.session(turn, time)) ?? time;
      } catch (error) {
        if (turn !== this.turn) return;
        this.say(textOf(error));
        if (!(error instanceof Refusal)) return; // the browser's: it remains
        if (!this.isLive) time = this.time ?? time;
        await sleep(patience);
      }
    }
  }

  /**
   * Plays until another session begins.
   * @param {number} turn
   * @param {number|undefined} time
   * @returns {Promise<number|undefined>} the time to go on with, where it ends by itself
   */
  async session(turn, time) {
    const asked = this.described(time); // meanwhile
    asked.catch(() => {});
    const [list, start] = await this.find(turn, time);
    if (turn !== this.turn) return undefined;
    const from = time === undefined ? undefined : start;
    let about = from === time ? await asked : undefined;
    if (!about?.names) about = await this.described(from); // near the newest recording there was nothing yet when it was asked for
    if (turn !== this.turn) return undefined;
    const { names, leftOut } = about;
    if (!names) { // what was found is gone
      await sleep(patience);
      return from;
    }
    this.silent(leftOut);
    const type = `video/mp4; codecs="${names}"`;
    const Source = mediaSource();
    if (!(Source ? Source.isTypeSupported(type) : Native.offered(this.video) && this.video.canPlayType(type))) {
      throw new Error(`This browser does not play ${inWords(names)}. Other browsers may (Safari plays H.265), and an export plays in other players.`);
    }
    if (!Source) return this.playNative(list, start, time === undefined ? [] : [start, start + page]);
    this.video.disableRemotePlayback = true; // a managed source wants it
    const source = new Source();
    const opened = new Promise((resolve) => source.addEventListener("sourceopen", resolve, { once: true }));
    const address = URL.createObjectURL(source);
    this.video.src = address;
    await opened;
    URL.revokeObjectURL(address);
    if (turn !== this.turn) return undefined;
    const buffer = source.addSourceBuffer(type);
    buffer.mode = "sequence";
    this.origin = list[0].at;
    this.jump(Math.max(0, (start - this.origin) / 1000)); // so that nothing before it is shown
    await this.pump(turn, buffer, list, Math.max(start, list[0].at));
    return undefined;
  }

  /**
   * Has the browser play a playlist.
   * @param {Entry[]} list
   * @param {number} start
   * @param {[]|[number, number]} range
   * @returns {Promise<number|undefined>} where the next playlist begins
   */
  async playNative(list, start, range) {
    this.ending = new AbortController();
    const native = new Native(this.video, list, range.length === 0);
    this.native = native;
    this.say("");
    await native.play(addressOf("master.m3u8", this.stream, ...range), Math.max(start, list[0].at), this.ending.signal);
    return range[1];
  }

  /** What is played from a time on, or of what is recorded now. @param {number|undefined} time */
  described(time) {
    return time === undefined ? describe(this.stream) : describe(this.stream, time, time + page);
  }

  /**
   * Finds the first media segments, at a time or after it.
   * @param {number} turn
   * @param {number|undefined} time
   * @returns {Promise<[Entry[], number]>}
   */
  async find(turn, time) {
    while (turn === this.turn) {
      if (time === undefined) {
        const list = (await entries(this.stream)).slice(-2);
        if (list.length > 0) return [list, list[0].at];
        this.say("Nothing is recorded now.");
      } else {
        const list = await entries(this.stream, time, time + page);
        if (list.length > 0) return [list, time];
        const next = await this.after(time);
        if (next === undefined) this.say("Nothing was recorded from then on.");
        else time = next;
        if (next !== undefined) continue;
      }
      await sleep(patience);
    }
    return [[], 0];
  }

  /** When the next recording after a time starts. @param {number} time @returns {Promise<number|undefined>} */
  async after(time) {
    const query = new URLSearchParams({ stream: this.stream, from: String(Math.round(time)), limit: "1", read: "0" });
    /** @type {{segments?: {start: string, recordedFrom?: string}[]}} */
    const found = await get(`/v1/segments?${query}`);
    const first = found.segments?.[0];
    const start = first && Date.parse(first.recordedFrom ?? first.start);
    return start !== undefined && start > time ? start : undefined;
  }

  /**
   * Loads media as it is needed, until another session begins.
   * @param {number} turn
   * @param {SourceBuffer} buffer
   * @param {Entry[]} list
   * @param {number} start the time of the first picture
   */
  async pump(turn, buffer, list, start) {
    let [map, recording, end, placed] = ["", "", NaN, false];
    while (turn === this.turn) {
      const range = this.rangeAt(this.video.currentTime);
      if (placed && range && range.end - this.video.currentTime > ahead) {
        await sleep(step);
        continue;
      }
      const entry = list.shift();
      if (!entry) {
        list = await this.more(end);
        if (list.length > 0) this.catchUp();
        if (list.length === 0) await sleep(this.isLive ? step : patience);
        this.skip();
        continue;
      }
      if (entry.map !== map) await append(buffer, await bytes(entry.map));
      if (turn !== this.turn) return;
      // Within a recording one follows the other exactly.
      if (entry.broken || entry.recording !== recording || !(Math.abs(entry.at - end) < tolerance)) {
        buffer.timestampOffset = (entry.at - this.origin) / 1000;
      }
      await append(buffer, await bytes(entry.address));
      [map, recording] = [entry.map, entry.recording];
      end = entry.at + entry.length;
      if (!placed && end > start) {
        placed = true;
        this.say("");
        const first = Math.max((start - this.origin) / 1000, this.video.buffered.start(0));
        if (this.video.currentTime < first - hair) this.jump(first); // it is never beyond, but by what was played since
      }
      this.skip();
      await this.forget(buffer);
    }
  }

  /** The media segments after a time. @param {number} end */
  async more(end) {
    const list = this.isLive ? await entries(this.stream) : await entries(this.stream, end, end + page);
    const later = list.filter((e) => e.at > end - tolerance);
    if (this.isLive) return later.slice(-latest); // what was missed while the page was hidden stays in the time line
    if (later.length > 0) return later;
    const next = await this.after(end);
    return next === undefined ? [] : entries(this.stream, next, next + page);
  }

  /** Plays a live stream faster while more of it is loaded than is needed until the next part arrives. */
  catchUp() {
    const { video } = this;
    const range = this.rangeAt(video.currentTime);
    if (!this.isLive || this.pace !== 1 || video.paused) return;
    this.left = [...this.left, range ? range.end - video.currentTime : 0].slice(-recent);
    video.playbackRate = this.left.length === recent && Math.min(...this.left) > spare ? hurry : 1;
  }

  /** Goes over what was not recorded. */
  skip() {
    const { currentTime, buffered } = this.video;
    if (this.video.paused || this.rangeAt(currentTime + 0.05)) return;
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) > currentTime) {
        this.jump(buffered.start(i) + 0.001);
        return;
      }
    }
  }

  /** Takes away what was played long ago. @param {SourceBuffer} buffer */
  async forget(buffer) {
    const until = this.video.currentTime - behind;
    if (this.video.buffered.length > 0 && this.video.buffered.start(0) < until - behind) await removed(buffer, until);
  }
}

/** Codecs as people call them. @param {string} names */
function inWords(names) {
  /** @type {Record<string, string>} */
  const known = { avc1: "H.264", hvc1: "H.265", hev1: "H.265", mp4a: "AAC", opus: "Opus" };
  const list = names.split(",").map((name) => known[name.split(".")[0]] ?? name);
  return `${list.join(" with ")} (${names})`;
}

/** @param {string} address */
async function bytes(address) {
  return (await send("GET", address)).arrayBuffer();
}

/** @param {SourceBuffer} buffer @param {ArrayBuffer} data */
function append(buffer, data) {
  return updated(buffer, () => buffer.appendBuffer(data));
}

/** @param {SourceBuffer} buffer @param {number} until */
function removed(buffer, until) {
  return updated(buffer, () => buffer.remove(0, until));
}

/** @param {SourceBuffer} buffer @param {() => void} change @returns {Promise<void>} */
function updated(buffer, change) {
  return new Promise((resolve, reject) => {
    buffer.onupdateend = () => resolve();
    buffer.onerror = () => reject(new Error("The browser cannot play this recording."));
    change();
  });
}

/** @param {number} ms @returns {Promise<void>} */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
