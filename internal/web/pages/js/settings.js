// The page of the settings, which shows them and checks the hub.
import { every, get } from "./api.js";
import { offerCheck } from "./check.js";
import { at, fill, h, table } from "./dom.js";
import { begin } from "./shell.js";

/** @type {Record<string, string>} */
const effects = {
  reload: "at a reload", "reload; recordings restart": "at a reload, which restarts recordings",
  "reload; upload sessions restart": "at a reload, which restarts upload sessions", restart: "after a restart of the agent",
};
/** @type {Record<string, string>} */
const origins = { file: "file of the service", environment: "environment", default: "default" };

/** @type {import("./types.js").Setting[]} */
let settings = [];

/** Takes the marks of Markdown off a text. @param {string} text */
function plain(text) {
  return text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "");
}

function show() {
  const wanted = /** @type {HTMLInputElement} */ (at("filter")).value.trim().toLowerCase();
  const list = settings.filter((s) => `${s.name} ${s.value} ${s.meaning ?? ""}`.toLowerCase().includes(wanted));
  fill(at("settings"), table("Settings", [{ title: "Variable" }, { title: "Value" }, { title: "Set in" }, { title: "A change takes effect" },
    { title: "Meaning" }], list.map((s) => [h("code", {}, s.name), s.value ? h("code", {}, s.value) : "not set",
    origins[s.origin ?? ""] ?? "", effects[s.effect ?? ""] ?? "", plain(s.meaning ?? "")])));
}

offerCheck(await begin());
at("filter").addEventListener("input", show);
every(60, async () => {
  settings = await get("/v1/settings");
  show();
});
