// Elements are made here and nowhere else, from text: nothing that the hub or a camera says is ever read as HTML.

/**
 * Makes an element. A property that is a function is a listener.
 * @param {string} tag
 * @param {Record<string, string|boolean|number|EventListener|undefined>} [properties]
 * @param {...(Node|string|undefined|null|false)} children
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  assign(element, properties);
  element.append(...nodes(children));
  return element;
}

/**
 * Makes an element of SVG.
 * @param {string} tag
 * @param {Record<string, string|number>} properties
 * @param {...(Node|string|undefined|null|false)} children
 */
export function svg(tag, properties, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  assign(element, properties);
  element.append(...nodes(children));
  return element;
}

/**
 * @param {Element} element
 * @param {Record<string, string|boolean|number|EventListener|undefined>} properties
 */
function assign(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
}

/** @param {(Node|string|undefined|null|false)[]} children */
function nodes(children) {
  return /** @type {(Node|string)[]} */ (children.filter((c) => c !== undefined && c !== null && c !== false && c !== ""));
}

/**
 * The element with an id, which the page has.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function at(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/**
 * Replaces what an element holds.
 * @param {Element} element
 * @param {...(Node|string|undefined|null|false)} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

/**
 * A list of facts.
 * @param {[string, string|Node|undefined][]} rows those without a value are left out
 */
export function facts(rows) {
  const list = h("dl", { class: "facts" });
  for (const [name, value] of rows) {
    if (value !== undefined && value !== "") list.append(h("dt", {}, name), h("dd", {}, value));
  }
  return list;
}

/**
 * A table with a caption for those who do not see it.
 * @param {string} label
 * @param {{title: string, number?: boolean}[]} columns
 * @param {(string|Node)[][]} rows
 */
export function table(label, columns, rows) {
  const kind = (/** @type {number} */ i) => (columns[i].number ? { class: "number" } : {});
  return h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": label },
    h("table", {},
      h("thead", {}, h("tr", {}, ...columns.map((c, i) => h("th", { scope: "col", ...kind(i) }, c.title)))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell, i) => h("td", kind(i), cell)))))));
}
