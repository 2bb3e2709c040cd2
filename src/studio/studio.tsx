import { render } from "preact";
import { App } from "./parts/App.js";
import { boot } from "./session.js";
import { phase } from "./state.js";

// The state of the whole page, for the style sheet and for whoever watches.
phase.subscribe((now) => {
  document.body.dataset["state"] = now;
});
const root = document.getElementById("studio");
if (root) render(<App />, root);
void boot();
// Pages of a file system, and browsers that keep nothing, do without.
navigator.serviceWorker?.register("./sw.js").catch(() => undefined);
