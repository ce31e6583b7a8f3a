// The explorer's page: what each change of the view brings up to date.

import { ask, download, Superseded } from "./api.js";
import { byId } from "./format.js";
import { refreshField, refreshImage, startImagePanel, toggleDrawing } from "./image_panel.js";
import { refreshInsens, refreshMethods, refreshTop, startLaterPanels } from "./later_panels.js";
import {
  highlight,
  markWall,
  nextChannel,
  refreshWall,
  showActive,
  startNetworkPanel,
} from "./network_panel.js";
import { refreshNeuron, refreshStep, startNeuronPanel } from "./neuron_panel.js";
import { address, layerOf, neuronAt, placeOf, restore, sent, view } from "./view.js";

const app = { network: null, change, chooseLayer, tried, say, highlight, active: showActive };

/** Change the view, its address, and what depends on what has changed. */
function change(changes, { push = true, keepHighlight = false } = {}) {
  Object.assign(view, changes);
  history[push ? "pushState" : "replaceState"](null, "", address());
  if (!keepHighlight && "neuron" in changes) highlight(null);
  refresh(new Set(Object.keys(changes)));
}

function refresh(changed) {
  const has = (...names) => names.some((name) => changed.has(name));
  if (has("neuron", "layer")) refreshField();
  if (has("image", "edits")) refreshImage();
  if (has("image", "edits", "layer")) refreshWall();
  else if (has("neuron")) markWall();
  if (has("image", "edits", "layer", "neuron", "zoom")) refreshNeuron();
  if (has("image", "edits", "layer", "neuron", "step")) refreshStep();
  if (has("image", "edits", "layer")) refreshInsens();
  if (has("image", "edits", "layer", "neuron", "methods", "zoom")) refreshMethods();
  if (has("layer", "neuron")) refreshTop();
}

/** Go to a layer: to the place of its maps that is where the neuron is now, as far as there is one. */
function chooseLayer(name) {
  if (name === view.layer) return;
  const [from, to] = [layerOf(app.network), layerOf(app.network, name)];
  const now = placeOf(from);
  const along = (place, count, others) => Math.min(others - 1, Math.floor(((place + 0.5) * others) / count));
  const isMap = to.channels > 1 && from.channels > 1;
  const place = isMap
    ? {
        channel: Math.min(now.channel, to.channels - 1),
        row: along(now.row, from.rows, to.rows),
        column: along(now.column, from.columns, to.columns),
      }
    : { channel: 0, row: Math.floor(to.rows / 2), column: Math.floor(to.columns / 2) };
  const neuron = neuronAt(to, place) ?? to.shape.map(() => 0);
  change({ layer: name, neuron });
}

async function tried(run) {
  try {
    await run();
    byId("error").hidden = true;
  } catch (error) {
    if (error instanceof Superseded) return;
    byId("error").textContent = error.message;
    byId("error").hidden = false;
  }
}

let timer = 0;

function say(text) {
  byId("said").textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    byId("said").textContent = "";
  }, 2500);
}

// --- the buttons --------------------------------------------------------------------------------

async function copy(text, what) {
  await navigator.clipboard.writeText(text);
  say(`${what} copied`);
}

function startButtons() {
  byId("copy-link").addEventListener("click", () => tried(() => copy(location.href, "Link")));
  byId("copy-python").addEventListener("click", () =>
    tried(async () => copy((await ask("python", { view: sent() })).lines, "Python")),
  );
  for (const button of document.querySelectorAll("[data-form]")) {
    button.addEventListener("click", () => tried(() => save(button.dataset.form)));
  }
  byId("help-button").addEventListener("click", () => byId("help").showModal());
}

async function save(form) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await download({ view: sent(), form }));
  link.download = `${view.layer}_${view.neuron.join("_")}.${form}`.replaceAll("/", "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// --- the keys -----------------------------------------------------------------------------------

function nextImage(step) {
  const now = /^\d+$/.test(view.image) ? Number(view.image) : -1;
  const next = Math.min(app.network.images - 1, Math.max(0, now + step));
  change({ image: String(next), edits: new Map() });
}

function nextLayer(step) {
  const place = app.network.layers.findIndex((one) => one.name === view.layer) + step;
  if (app.network.layers[place]) chooseLayer(app.network.layers[place].name);
}

const KEYS = {
  "[": () => nextImage(-1),
  "]": () => nextImage(1),
  ",": () => nextChannel(-1),
  ".": () => nextChannel(1),
  "-": () => nextLayer(-1),
  "+": () => nextLayer(1),
  d: toggleDrawing,
  "?": () => byId("help").showModal(),
};

function startKeys() {
  document.addEventListener("keydown", (event) => {
    const isText = event.target.closest("select, input, dialog");
    if (isText || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
}

// --- the start ----------------------------------------------------------------------------------

const EVERYTHING = new Set(["image", "edits", "layer", "neuron", "step", "methods"]);

function restoreAll() {
  restore(location.hash, app.network.start, app.network);
  highlight(null);
  refresh(EVERYTHING);
}

await tried(async () => {
  app.network = await ask("network");
  byId("model").textContent = app.network.model;
  document.title = `${app.network.model} · insens_tf explorer`;
  startImagePanel(app);
  startNetworkPanel(app);
  startNeuronPanel(app);
  startLaterPanels(app);
  startButtons();
  startKeys();
  restoreAll();
  history.replaceState(null, "", address());
  addEventListener("popstate", restoreAll);
});
