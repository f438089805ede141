// Requests to the hub.

/** An answer that is a refusal: its text is a sentence for people. */
export class Refusal extends Error {
  /** @param {number} status @param {string} text */
  constructor(status, text) {
    super(text.charAt(0).toUpperCase() + text.slice(1));
    this.status = status;
  }
}

/**
 * Sends a request. Who is not signed in any longer gets to the page that signs in.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<Response>}
 */
export async function send(method, path, body) {
  /** @type {RequestInit} */
  const request = { method, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers = { "Content-Type": "application/json" };
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch {
    throw new Refusal(0, "The hub does not answer. This page tries again.");
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
 * Calls refresh now, and then again and again: after each time has ended and the page is visible. What fails is shown, until it works.
 * @param {number} seconds
 * @param {() => Promise<void>} refresh
 */
export function every(seconds, refresh) {
  const trouble = document.getElementById("trouble");
  const turn = async () => {
    if (!document.hidden) {
      try {
        await refresh();
        if (trouble) trouble.hidden = true;
      } catch (error) {
        if (trouble) {
          trouble.textContent = error instanceof Error ? error.message : String(error);
          trouble.hidden = false;
        }
      }
    }
    setTimeout(turn, seconds * 1000);
  };
  turn();
}
