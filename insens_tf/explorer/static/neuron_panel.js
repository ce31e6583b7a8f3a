// The neuron: v = x w + b, its maps, and a walk towards its centre.

import { ask, latest } from "./api.js";
import { decoded, show, showPng } from "./canvas.js";
import { byId, number, share } from "./format.js";
import { showSwitched } from "./image_panel.js";
import { showMap } from "./network_panel.js";
import { fieldOf, layerOf, sent, view } from "./view.js";

let app;
let shown = null;

export function startNeuronPanel(given) {
  app = given;
  byId("step").addEventListener("input", (event) => {
    app.change({ step: Number(event.target.value) }, { push: false });
  });
  byId("zoom").addEventListener("change", (event) => app.change({ zoom: event.target.checked }, { push: false }));
}

/** The part of the maps that is shown: what the neuron sees, where that is zoomed on. */
export function partShown() {
  const field = fieldOf(app.network);
  if (!field) return null;
  const isSmall = field.rows * field.columns * 4 <= app.network.width * app.network.height;
  return (view.zoom ?? isSmall) ? field : null;
}

async function showMaps() {
  const part = partShown();
  byId("zoom-label").hidden = fieldOf(app.network) === null;
  byId("zoom").checked = part !== null;
  for (const name of ["weights", "contribution"]) {
    await showPng(byId(name), shown[name].png, part);
    byId(`${name}-text`).textContent = shown[name].png ? `±${number(shown[name].largest)}` : "none: w is 0";
  }
  await showPng(byId("centre"), shown.centre, part);
  byId("centre-text").textContent = shown.centre ? "where v would be 0" : "none: w is 0";
}

export const refreshNeuron = latest(async () => {
  byId("neuron-panel").setAttribute("aria-busy", "true");
  await app.tried(async () => {
    const found = await ask("neuron", { view: sent() });
    shown = found;
    byId("neuron-name").textContent = `${view.layer} [${found.index.join(", ")}]`;
    const isActive = found.v > 0;
    const state = byId("state");
    state.textContent = found.is_hidden ? (isActive ? "active" : "inactive") : "output";
    state.className = `badge ${found.is_hidden ? (isActive ? "on" : "off") : ""}`;
    for (const name of ["v", "xw", "b"]) byId(name).textContent = number(found[name]);
    byId("distance-title").textContent = found.is_hidden ? "distance to where it switches" : "distance to where it is 0";
    byId("distance").textContent = number(found.distance);
    byId("length").textContent = number(found.length);
    byId("frequency").textContent =
      found.frequency !== null
        ? share(found.frequency)
        : found.is_hidden
          ? "give --frequency-from"
          : "an output";
    await showMaps();
    await showMap(found);
    if (layerOf(app.network).index === null) app.highlight(null);
  });
  byId("neuron-panel").setAttribute("aria-busy", "false");
});

export const refreshStep = latest(async () => {
  byId("step").value = view.step;
  await app.tried(async () => {
    const found = await ask("step", { view: sent(), step: view.step });
    show(byId("moved"), await decoded(found.png));
    byId("step-text").textContent = sayingOf(found);
    showSwitched(byId("step-switched"), found.switched);
  });
});

function sayingOf({ v, expected, length, prediction }) {
  if (expected === null) return "Its w is 0 here: no step changes it.";
  if (view.step === 0) return "Move x along w: at the centre v would be 0, were nothing else to switch.";
  const isAsExpected = Math.abs(v - expected) <= 1e-4 * (1 + Math.abs(expected));
  const why = isAsExpected
    ? ", as x w + b says."
    : `; x w + b would make it ${number(expected)}, but others switch on the way.`;
  const largest = prediction.map((one) => one.class).join(", ");
  return `${number(length)} away v is ${number(v)}${why} Largest output: ${largest}.`;
}
