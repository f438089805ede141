// Signing in: by the link that the hub printed, or by a password.
import { Refusal, get, send } from "./api.js";
import { at } from "./dom.js";
import { textOf } from "./format.js";

const trouble = at("trouble");
const form = /** @type {HTMLFormElement} */ (at("form"));
const password = /** @type {HTMLInputElement} */ (at("password"));

/** @param {unknown} body */
async function enter(body) {
  await send("POST", "/session", body);
  location.replace("/");
}

/** @param {unknown} error */
function show(error) {
  trouble.textContent = textOf(error);
  trouble.hidden = false;
}

// What remembers passwords keeps one for each role.
form.addEventListener("change", () => {
  /** @type {HTMLInputElement} */ (at("username")).value = String(new FormData(form).get("role"));
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  trouble.hidden = true;
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  button.disabled = true;
  try {
    await enter({ role: new FormData(form).get("role"), password: password.value });
  } catch (error) {
    show(error);
    password.value = "";
    password.focus();
  } finally {
    button.disabled = false;
  }
});

async function begin() {
  const link = new URLSearchParams(location.hash.slice(1)).get("link");
  history.replaceState(null, "", location.pathname); // the link stays in no history
  trouble.hidden = true;
  if (link) {
    try {
      await enter({ link });
      return;
    } catch (error) {
      show(error);
    }
  }
  try {
    await get("/session");
    location.replace("/"); // from a page of another site the browser brings no cookie
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 401)) show(error);
  }
}
window.addEventListener("hashchange", begin); // a link that is opened on this page does not load it again
begin();
