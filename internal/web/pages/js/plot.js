// Plots over time: a picture, what it says in words, and its numbers as a table.
import { fill, h, svg, table } from "./dom.js";
import { dayInUTC, when } from "./format.js";

/**
 * A line of a plot: points of [ms since 1970, value] in order. Kind is how it is drawn: bars begin at the point before.
 * @typedef {{name: string, points: [number, number][], kind: "line"|"other"|"forecast"|"bars"}} Line
 */
/**
 * What a plot shows. Now is drawn as a line of its own, where something is foreseen; steps of more than gap ms are left open.
 * @typedef {{lines: Line[], from: number, to: number, now?: number, limit?: {value: number, name: string}, gap?: number,
 *   text: string, write: (value: number) => string, day?: boolean}} Content
 */

const width = 1000;
const height = 100;
const rows = 24; // of the table: more are summed up by leaving out

/** A plot that can be shown again with other numbers, without losing the focus or what was opened. */
export class Plot {
  /** @param {string} title */
  constructor(title) {
    this.title = title;
    this.text = h("p", { class: "plot-text" });
    this.top = h("span", { class: "plot-top" });
    this.picture = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" });
    this.times = h("div", { class: "plot-times", "aria-hidden": "true" });
    this.legend = h("ul", { class: "legend" });
    this.numbers = h("div");
    this.element = h("figure", { class: "plot-box card" }, h("figcaption", {}, h("h3", {}, title), this.text), this.top, this.picture, this.times,
      this.legend, h("details", {}, h("summary", {}, "As numbers"), this.numbers));
  }

  /** @param {Content} content */
  show(content) {
    const { lines, from, to, now, limit, write } = content;
    const high = Math.max(limit?.value ?? 0, ...lines.flatMap((l) => l.points.map((p) => p[1]))) || 1;
    this.text.textContent = content.text;
    this.top.textContent = write(high);
    this.picture.setAttribute("aria-label", `${this.title}: ${content.text}`);
    /** @type {(time: number) => number} */
    const x = (time) => ((time - from) / Math.max(1, to - from)) * width;
    /** @type {(value: number) => number} */
    const y = (value) => height - 1 - (value / high) * (height - 4);
    fill(this.picture, ...lines.flatMap((line) => draw(line, x, y, line.kind === "forecast" ? Infinity : content.gap ?? Infinity)),
      limit && svg("line", { class: "limit", x1: 0, x2: width, y1: y(limit.value), y2: y(limit.value) }),
      now !== undefined && now < to && svg("line", { class: "now", x1: x(now), x2: x(now), y1: 0, y2: height }));
    const label = content.day ? dayInUTC : when;
    fill(this.times, h("span", {}, label(from)), now !== undefined && now < to && h("span", {}, "then: foreseen"), h("span", {}, label(to)));
    const named = [...lines.filter((l) => l.points.length > 0).map((l) => [l.kind, l.name]), ...(limit ? [["limit", limit.name]] : [])];
    fill(this.legend, ...(named.length > 1 ? named : []).map(([kind, name]) => h("li", {}, h("span", { class: `key ${kind}`, "aria-hidden": "true" }), name)));
    fill(this.numbers, numbers(this.title, content));
  }
}

/**
 * @param {Line} line
 * @param {(time: number) => number} x
 * @param {(value: number) => number} y
 * @param {number} gap
 */
function draw(line, x, y, gap) {
  if (line.kind === "bars") {
    return line.points.map(([time, value], i) => {
      const left = i > 0 ? x(line.points[i - 1][0]) : x(time) - (line.points.length > 1 ? x(line.points[1][0]) - x(time) : width);
      return svg("rect", { class: "bars", x: left + 2, width: Math.max(1, x(time) - left - 4), y: y(value), height: height - y(value) });
    });
  }
  /** @type {[number, number][][]} */
  const parts = [];
  for (const point of line.points) {
    const last = parts[parts.length - 1];
    if (last && point[0] - last[last.length - 1][0] <= gap) last.push(point);
    else parts.push([point]);
  }
  return parts.map((part) => {
    const all = part.length > 1 ? part : [part[0], part[0]]; // a point alone is a dot
    return svg("polyline", { class: line.kind, points: all.map((p) => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(" ") });
  });
}

/** @param {string} title @param {Content} content */
function numbers(title, content) {
  const shown = content.lines.filter((l) => l.points.length > 0);
  const times = [...new Set(shown.flatMap((l) => l.points.map((p) => p[0])))].sort((a, b) => a - b);
  const every = Math.ceil(times.length / rows);
  const kept = times.filter((_, i) => (times.length - 1 - i) % every === 0);
  const values = shown.map((l) => new Map(l.points));
  return table(`${title}, as numbers`, [{ title: content.day ? "Day (UTC)" : "Time" }, ...shown.map((l) => ({ title: l.name, number: true }))],
    kept.map((time) => [(content.day ? dayInUTC : when)(time), ...values.map((v) => {
      const value = v.get(time);
      return value === undefined ? "" : content.write(value);
    })]));
}

/**
 * What is foreseen, as far as a plot shows it: straight on to a value at a time.
 * @param {[number, number]} now
 * @param {[number, number]} then
 * @param {number} to the end of the plot
 * @returns {[number, number][]}
 */
export function foreseen(now, then, to) {
  if (then[0] <= now[0]) return [];
  const part = Math.min(1, (to - now[0]) / (then[0] - now[0]));
  return [now, [now[0] + part * (then[0] - now[0]), now[1] + part * (then[1] - now[1])]];
}
