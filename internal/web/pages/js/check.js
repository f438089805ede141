// The check of the hub: results as they come, and what is awaited meanwhile.
import { lines, send } from "./api.js";
import { at, fill, h, table } from "./dom.js";
import { textOf } from "./format.js";
import { chip } from "./shell.js";

/** @typedef {import("./types.js").CheckProgress} CheckProgress */

/** Ends the check that runs. @type {AbortController|undefined} */
let running;

/** @param {import("./types.js").Session} session */
export function offerCheck(session) {
  const may = session.role === "operate";
  at("check-acts").hidden = !may;
  at("check-rights").hidden = may;
  at("check").addEventListener("click", check);
  at("check-stop").addEventListener("click", () => running?.abort());
}

async function check() {
  const begin = /** @type {HTMLButtonElement} */ (at("check"));
  running = new AbortController();
  begin.disabled = true;
  at("check-stop").hidden = false;
  /** @type {CheckProgress[]} */
  const results = [];
  show(results);
  say("The check begins.");
  try {
    say(await follow(results, running.signal));
  } catch (error) {
    say(running.signal.aborted ? "The check was stopped: what follows was not checked." : textOf(error));
  }
  running = undefined;
  at("check-stop").hidden = true;
  begin.disabled = false;
}

/**
 * Checks, and adds what is found to the results.
 * @param {CheckProgress[]} results
 * @param {AbortSignal} signal
 * @returns {Promise<string>} how it ended
 */
async function follow(results, signal) {
  for await (const line of lines(await send("POST", "/v1/check", undefined, signal))) {
    if (line.error) throw new Error(line.error);
    if (line.finished) return line.ok ? "All is well." : "Something is wrong: see the lines that are marked.";
    if (line.waiting) {
      say(`Waiting for ${line.waiting}.`);
      continue;
    }
    results.push(line);
    show(results);
  }
  throw new Error("The hub ended the check before all was checked.");
}

/** @param {string} text */
function say(text) {
  at("check-state").textContent = text;
}

/** @param {CheckProgress[]} results */
function show(results) {
  fill(at("check-results"), results.length > 0 && table("Results of the check", [{ title: "Result" }, { title: "Checked" }, { title: "Stream" },
    { title: "Found" }], results.map((r) => [r.ok ? chip("ok", "good") : chip("failed", "wrong"), h("span", {}, r.check ?? ""), r.stream ?? "",
    r.text ?? ""])));
}
