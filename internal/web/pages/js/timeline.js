// The time line: what was recorded, is in the cloud, is held, and what happened, over a span of time.
import { fill, h } from "./dom.js";
import { day, timeOfDay, when } from "./format.js";

/** @typedef {{from: number, to: number, title: () => string, partly?: boolean}} Span in ms since 1970 */
/** @typedef {{recorded: Span[], cloud: Span[], refused: Span[], held: Span[], events: Span[], gaps: Span[], lost: Span[],
 *   epochs: Span[]}} Lanes */

/** The lanes, from the top. @type {[keyof Lanes, string][]} */
const lanes = [["recorded", "Recorded"], ["cloud", "In the cloud"], ["refused", "Refused"],
  ["held", "Held"], ["events", "Events"], ["gaps", "Gaps"], ["lost", "Lost"], ["epochs", "Clock corrected"]];

const minute = 60000;
/** The spans that can be shown. @type {[number, string][]} */
export const zooms = [[minute, "1 minute"], [10 * minute, "10 minutes"], [60 * minute, "1 hour"], [6 * 60 * minute, "6 hours"],
  [24 * 60 * minute, "1 day"], [7 * 24 * 60 * minute, "7 days"], [30 * 24 * 60 * minute, "30 days"]];
const steps = [5000, 15000, minute, 5 * minute, 15 * minute, 60 * minute, 3 * 60 * minute, 6 * 60 * minute, 24 * 60 * minute,
  5 * 24 * 60 * minute];
const mostTicks = 8;
const least = 3; // px of a span, however short it is

/** Shows lanes, and reports what somebody does with them. */
export class Timeline {
  /**
   * @param {HTMLElement} root
   * @param {{seek: (time: number) => void, moved: () => void}} on
   */
  constructor(root, on) {
    this.on = on;
    this.zoom = 2;
    this.start = Date.now() - this.length * 0.9;
    this.cursor = Date.now();
    /** @type {[number, number]|undefined} */
    this.marked = undefined;
    /** @type {Lanes} */
    this.data = { recorded: [], cloud: [], refused: [], held: [], events: [], gaps: [], lost: [], epochs: [] };
    this.ticks = h("div", { class: "ticks", "aria-hidden": "true" });
    this.rows = new Map(lanes.map(([name, label]) => [name, h("div", { class: `lane ${name}`, title: label })]));
    this.hand = h("div", { class: "cursor" });
    this.band = h("div", { class: "marked", hidden: true });
    this.box = h("div", { class: "line", id: "line-box", tabindex: 0, role: "slider", "aria-label": "Time line: arrows move, plus and minus zoom",
      "aria-orientation": "horizontal" }, this.ticks, ...this.rows.values(), this.band, this.hand);
    fill(root, this.box, h("ul", { class: "legend" }, ...lanes.map(([name, label], i) =>
      h("li", { class: name }, h("i", { "aria-hidden": "true" }), `${i + 1}. ${label}`))));
    this.listen();
    this.draw();
  }

  /** How much is shown, in ms. */
  get length() {
    return zooms[this.zoom][0];
  }

  listen() {
    /** @type {{x: number, start: number, moved: boolean}|undefined} */
    let drag;
    this.box.addEventListener("pointerdown", (e) => {
      drag = { x: e.clientX, start: this.start, moved: false };
      this.box.setPointerCapture(e.pointerId);
    });
    this.box.addEventListener("pointermove", (e) => {
      if (!drag) {
        this.name(e);
        return;
      }
      drag.moved ||= Math.abs(e.clientX - drag.x) > 4;
      if (drag.moved) this.show(drag.start - ((e.clientX - drag.x) / this.box.clientWidth) * this.length, this.zoom);
    });
    this.box.addEventListener("pointerup", (e) => {
      if (drag && !drag.moved) this.on.seek(this.timeAt(e.clientX));
      drag = undefined;
    });
    this.box.addEventListener("pointercancel", () => (drag = undefined));
    this.box.addEventListener("wheel", (e) => {
      e.preventDefault();
      this.scale(e.deltaY > 0 ? 1 : -1, this.timeAt(e.clientX));
    }, { passive: false });
    this.box.addEventListener("keydown", (e) => {
      if (e.key === "+" || e.key === "-") this.scale(e.key === "+" ? -1 : 1, this.cursor);
    });
  }

  /** @param {number} x of the pointer */
  timeAt(x) {
    const box = this.box.getBoundingClientRect();
    return this.start + ((x - box.left) / box.width) * this.length;
  }

  /** Shows more or less around a time. @param {number} by @param {number} around */
  scale(by, around) {
    const next = Math.min(zooms.length - 1, Math.max(0, this.zoom + by));
    const part = (around - this.start) / this.length;
    this.show(around - part * zooms[next][0], next);
  }

  /** @param {number} start @param {number} zoom */
  show(start, zoom) {
    this.start = start;
    this.zoom = zoom;
    this.draw();
    this.on.moved();
  }

  /** Moves the hand, and the line with it where it leaves that. @param {number} time */
  point(time) {
    this.cursor = time;
    this.place(this.hand, time, time);
    this.box.setAttribute("aria-valuemin", String(Math.round(this.start / 1000)));
    this.box.setAttribute("aria-valuemax", String(Math.round((this.start + this.length) / 1000)));
    this.box.setAttribute("aria-valuenow", String(Math.round(time / 1000)));
    this.box.setAttribute("aria-valuetext", when(time));
  }

  /** @param {[number, number]|undefined} range */
  mark(range) {
    this.marked = range;
    this.band.hidden = !range;
    if (range) this.place(this.band, range[0], range[1]);
  }

  /** @param {Lanes} data */
  fill(data) {
    this.data = data;
    this.draw();
  }

  draw() {
    for (const [name] of lanes) {
      const shown = this.data[name].filter((s) => s.to > this.start && s.from < this.start + this.length);
      const bars = [shown.filter((s) => !s.partly), shown.filter((s) => s.partly)];
      fill(/** @type {HTMLElement} */ (this.rows.get(name)), ...bars.map((list, i) => list.length > 0 && this.bar(list, i === 1)));
    }
    const step = steps.find((s) => this.length / s <= mostTicks) ?? steps[steps.length - 1];
    const marks = times(this.start, this.start + this.length, step).map((t) => {
      const tick = h("span", {}, label(t, step));
      tick.style.left = `${((t - this.start) / this.length) * 100}%`;
      return tick;
    });
    fill(this.ticks, ...marks);
    this.point(this.cursor);
    this.mark(this.marked);
  }

  /**
   * One element for all spans of a lane, as there can be hundreds: it is as wide as the line, and masked where there is none.
   * @param {Span[]} list
   * @param {boolean} partly
   */
  bar(list, partly) {
    const bar = h("i", { class: partly ? "partly" : undefined });
    const width = this.box.clientWidth || 1000;
    /** @type {[number, number][]} */
    const spots = [];
    for (const s of [...list].sort((a, b) => a.from - b.from)) {
      const from = Math.max(0, ((s.from - this.start) / this.length) * width);
      const to = Math.min(width, Math.max(from + least, ((s.to - this.start) / this.length) * width));
      const last = spots[spots.length - 1];
      if (last && from <= last[1]) last[1] = Math.max(last[1], to);
      else spots.push([from, to]);
    }
    const stops = spots.flatMap(([from, to]) => [`#0000 ${share(from, width)}`, `#000 ${share(from, width)} ${share(to, width)}`,
      `#0000 ${share(to, width)}`]);
    bar.style.maskImage = bar.style.webkitMaskImage = `linear-gradient(to right, ${stops.join(", ")})`; // Safari before 15.4 knows the latter
    return bar;
  }

  /** Names what the pointer is at. @param {PointerEvent} event */
  name(event) {
    const lane = /** @type {Element} */ (event.target).closest(".lane");
    const found = lanes.find(([name]) => this.rows.get(name) === lane);
    if (!lane || !found) return;
    const time = this.timeAt(event.clientX);
    const near = (least / this.box.clientWidth) * this.length;
    const spot = [...this.data[found[0]]].reverse().find((s) => s.from - near <= time && time <= s.to + near);
    lane.setAttribute("title", spot?.title() || found[1]);
  }

  /** @param {HTMLElement} element @param {number} from @param {number} to */
  place(element, from, to) {
    const left = Math.max(-1, (from - this.start) / this.length);
    const right = Math.min(2, (to - this.start) / this.length);
    element.style.left = `${left * 100}%`;
    element.style.width = `${Math.max(0, right - left) * 100}%`;
  }
}

/**
 * The times between two others that a clock on the wall shows at each step, also on the days on which it is put forward or back.
 * @param {number} from
 * @param {number} to
 * @param {number} step
 */
function times(from, to, step) {
  const hour = 60 * minute;
  const begin = new Date(from);
  const [year, month, date] = [begin.getFullYear(), begin.getMonth(), begin.getDate()];
  const days = Math.max(1, step / (24 * hour));
  /** @type {number[]} */
  const list = [];
  for (let i = 0; ; i++) {
    const t = step < hour ? new Date(year, month, date, begin.getHours()).getTime() + i * step
      : (step < 24 * hour ? new Date(year, month, date, (i * step) / hour) : new Date(year, month, date + i)).getTime();
    if (t >= to) return list;
    const counted = step < 24 * hour || (Date.UTC(year, month, date + i) / (24 * hour)) % days === 0;
    if (t >= from && counted && t !== list[list.length - 1]) list.push(t);
  }
}

/** @param {number} time @param {number} step */
function label(time, step) {
  const t = new Date(time);
  if (step >= 24 * 60 * minute || (t.getHours() === 0 && t.getMinutes() === 0 && t.getSeconds() === 0)) {
    return day(time);
  }
  return timeOfDay(time, step < minute);
}

/** @param {number} at @param {number} width */
function share(at, width) {
  return `${((at / width) * 100).toFixed(3)}%`;
}
