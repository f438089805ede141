// Requests to the hub.
import { at } from "./dom.js";
import { textOf } from "./format.js";

/** An answer that is a refusal: its text is a sentence for people. */
export class Refusal extends Error {
  /** @param {number} status @param {string} text */
  constructor(status, text) {
    super(text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : "."));
    this.status = status;
  }
}

/**
 * Sends a request. Who is not signed in any longer gets to the page that signs in.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @param {AbortSignal} [signal] ends it
 * @returns {Promise<Response>}
 */
export async function send(method, path, body, signal) {
  /** @type {RequestInit} */
  const request = { method, credentials: "same-origin", cache: "no-store", signal };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers = { "Content-Type": "application/json" };
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch {
    throw new Refusal(0, "The hub does not answer.");
  }
  if (answer.ok) return answer;
  const text = (await answer.text()).trim();
  if (answer.status === 401 && path !== "/session") location.assign("/sign-in");
  throw new Refusal(answer.status, text || `The hub answered ${answer.status}.`);
}

/**
 * Reads JSON.
 * @template T
 * @param {string} path
 * @returns {Promise<T>}
 */
export async function get(path) {
  return (await send("GET", path)).json();
}

/**
 * The lines of JSON of an answer, as they come.
 * @param {Response} answer
 */
export async function* lines(answer) {
  let rest = "";
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    const list = rest.split("\n");
    rest = done ? "" : list.pop() ?? "";
    for (const text of list) if (text.trim()) yield JSON.parse(text);
    if (done) return;
  }
}

/** What does not work now, with its sentence. @type {Map<() => Promise<void>, string>} */
const failing = new Map();

/**
 * Does what is done again and again. What fails is shown, until the same works.
 * @param {() => Promise<void>} act
 */
export async function refresh(act) {
  try {
    await act();
    failing.delete(act);
  } catch (error) {
    failing.set(act, textOf(error));
  }
  const trouble = at("trouble");
  trouble.hidden = failing.size === 0;
  const text = failing.size === 0 ? "" : [...new Set(failing.values()), "This page tries again."].join(" ");
  if (trouble.textContent !== text) trouble.textContent = text; // who hears the page hears it once
}

/**
 * Calls act now, and then again and again: after each time has ended and the page is visible.
 * @param {number} seconds
 * @param {() => Promise<void>} act see refresh
 */
export function every(seconds, act) {
  const turn = async () => {
    if (!document.hidden) await refresh(act);
    setTimeout(turn, seconds * 1000);
  };
  turn();
}
