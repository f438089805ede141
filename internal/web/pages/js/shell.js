// What all pages have: the head with the navigation, and who is signed in.
import { get, send } from "./api.js";
import { at, fill, h } from "./dom.js";
import { signs } from "./format.js";

const places = [["/", "Cameras"], ["/health", "Health"], ["/settings", "Settings"]];

/**
 * Shows the head of the page.
 * @returns {Promise<import("./types.js").Session>}
 */
export async function begin() {
  /** @type {import("./types.js").Session} */
  let session;
  try {
    session = await get("/session");
  } catch {
    location.assign("/sign-in");
    return new Promise(() => {}); // the page is left
  }
  fill(at("top"), h("div", {},
    h("span", { class: "hub" }, session.thing || location.hostname),
    h("nav", { "aria-label": "Pages" }, ...places.map(([path, name]) =>
      h("a", { href: path, "aria-current": path === location.pathname ? "page" : undefined }, name))),
    h("div", { class: "who" }, h("span", {}, `Role: ${session.role}`),
      h("button", { type: "button", id: "sign-out", click: signOut }, "Sign out"))));
  return session;
}

async function signOut() {
  await send("DELETE", "/session");
  location.assign("/sign-in");
}

/**
 * A state, as a sign with a word.
 * @param {"ok"|"info"|"degraded"|"failed"} kind
 * @param {string} text
 */
export function chip(kind, text) {
  return h("span", { class: `chip ${kind}` }, h("span", { "aria-hidden": "true" }, signs[kind]), text);
}

/**
 * The worst severity of conditions.
 * @param {import("./types.js").Condition[]} conditions
 * @returns {"ok"|"info"|"degraded"|"failed"}
 */
export function worst(conditions) {
  for (const severity of /** @type {const} */ (["failed", "degraded", "info"])) {
    if (conditions.some((c) => c.severity === severity)) return severity;
  }
  return "ok";
}
