// The network: its layers, the channels of one, the positions of a channel.

import { ask, latest } from "./api.js";
import { cellAt, cellByKey, chooseByKeys, decoded, markChosen, placeOver, show } from "./canvas.js";
import { byId, element, number, shape, share } from "./format.js";
import { layerOf, neuronAt, placeOf, sent, view } from "./view.js";

const canvas = byId("map");
let app;
let wallOf = "";

export function startNetworkPanel(given) {
  app = given;
  drawChain();
  const chain = byId("chain");
  const wall = byId("wall");
  const chooseLayer = (option) => app.chooseLayer(option.dataset.layer);
  const chooseChannel = (option) => setChannel(Number(option.dataset.channel));
  for (const [list, choose] of [
    [chain, chooseLayer],
    [wall, chooseChannel],
  ]) {
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) choose(option);
    });
    chooseByKeys(list, choose);
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 0) chooseCell(cellAt(canvas, event));
  });
  canvas.addEventListener("keydown", (event) => {
    const layer = layerOf(app.network);
    const next = cellByKey(event, placeOf(layer), layer.rows, layer.columns);
    if (!next) return;
    event.preventDefault();
    chooseCell(next);
  });
}

function chooseCell({ row, column }) {
  const layer = layerOf(app.network);
  // The map of the layer before is still there.
  if (canvas.width !== layer.columns || canvas.height !== layer.rows) return;
  const neuron = neuronAt(layer, { channel: placeOf(layer).channel, row, column });
  if (neuron) app.change({ neuron });
}

export function setChannel(channel) {
  const layer = layerOf(app.network);
  const place = placeOf(layer);
  const within = Math.min(layer.channels - 1, Math.max(0, channel));
  app.change({ neuron: neuronAt(layer, { ...place, channel: within }) }, { keepHighlight: true });
}

export function nextChannel(step) {
  const layer = layerOf(app.network);
  if (layer.channels > 1) return setChannel(placeOf(layer).channel + step);
  const { row, column } = placeOf(layer);
  const flat = row * layer.columns + column + step;
  const neuron = flat < 0 ? null : neuronAt(layer, { channel: 0, row: 0, column: flat });
  if (neuron) app.change({ neuron });
}

// --- the layers ---------------------------------------------------------------------------------

/** The picture of a layer: as tall as its maps are, as wide as it has channels, roughly. */
function blockOf(layer) {
  const block = element("span", { class: "block" }, element("i"));
  const side = (value) => 10 + 9 * Math.log2(1 + value);
  const isMap = layer.shape.length > 1;
  const height = isMap ? side(layer.rows) : side(layer.neurons);
  block.style.height = `${Math.min(86, height)}px`;
  block.style.width = `${isMap ? Math.min(64, 6 + 8 * Math.log2(1 + layer.channels)) : 12}px`;
  return block;
}

function drawChain() {
  const known = new Map(app.network.layers.map((layer) => [layer.name, layer]));
  const drawn = [element("span", { class: "between", role: "presentation" }, `input ${shape(app.network.shape)}`)];
  for (const one of app.network.chain) {
    const layer = known.get(one.name);
    if (!layer) {
      if (one.part !== "gate") drawn.push(element("span", { class: "between", role: "presentation", title: one.kind }, one.name));
      continue;
    }
    known.delete(one.name);
    drawn.push(optionOf(layer));
  }
  // A layer that is used twice is named anew.
  drawn.push(...[...known.values()].map(optionOf));
  byId("chain").replaceChildren(...drawn);
}

function optionOf(layer) {
  const kind = layer.index === null ? "output" : "";
  return element(
    "button",
    { type: "button", role: "option", "data-layer": layer.name },
    blockOf(layer),
    element("span", { class: "name" }, layer.name),
    element("span", { class: "shape" }, shape(layer.shape)),
    element("span", { class: "share" }, kind || " "),
  );
}

/** Say of each hidden layer which share of it is active. */
export function showActive(active) {
  for (const option of byId("chain").querySelectorAll("[role=option]")) {
    const part = active[option.dataset.layer];
    if (part === undefined) continue;
    option.querySelector("i").style.height = `${100 * part}%`;
    option.querySelector(".share").textContent = `${share(part)} active`;
  }
}

// --- the channels -------------------------------------------------------------------------------

export const refreshWall = latest(async () => {
  const layer = layerOf(app.network);
  markChosen(byId("chain"), (option) => option.dataset.layer === view.layer);
  document.querySelector(".neurons").classList.toggle("one-map", layer.channels === 1);
  if (layer.channels === 1) {
    wallOf = "";
    return;
  }
  await app.tried(async () => {
    const found = await ask("layer", { view: sent() });
    if (layer.name !== view.layer) return;
    const bitmap = await decoded(found.png);
    const wall = byId("wall");
    if (wallOf !== layer.name) {
      wall.replaceChildren(...found.active.map((_, channel) => tile(channel)));
      wallOf = layer.name;
    }
    const places = layer.rows * layer.columns;
    for (const [channel, option] of [...wall.children].entries()) {
      const part = { left: 0, top: channel * found.rows, rows: found.rows, columns: found.columns };
      show(option.querySelector("canvas"), bitmap, part);
      const count = found.active[channel];
      option.querySelector(".count").textContent = share(count / places);
      option.classList.toggle("off", count === 0);
      option.title = `channel ${channel}: ${count} of ${places} active, largest magnitude ${number(found.largest[channel])}`;
    }
    byId("wall-title").textContent = `${layer.channels} channels, share active`;
    markWall();
  });
});

function tile(channel) {
  return element(
    "button",
    { type: "button", role: "option", "data-channel": channel },
    element("canvas", { "aria-hidden": "true" }),
    element("span", { class: "label" }, element("span", {}, String(channel)), element("span", { class: "count" })),
  );
}

export function markWall() {
  const { channel } = placeOf(layerOf(app.network));
  markChosen(byId("wall"), (option) => Number(option.dataset.channel) === channel);
}

// --- the positions ------------------------------------------------------------------------------

/** Show the map of the neuron's channel, and where the neuron is on it. */
export async function showMap(found) {
  const layer = layerOf(app.network);
  show(canvas, await decoded(found.map.png));
  markPlace();
  byId("map-title").textContent =
    layer.channels > 1 ? `v of channel ${placeOf(layer).channel}` : `v of the ${layer.neurons} neurons`;
  byId("map-text").textContent = `red: active, blue: inactive; full colour is ${number(found.map.largest)}`;
}

export function markPlace() {
  const { row, column } = placeOf(layerOf(app.network));
  placeOver(byId("place"), { top: row, left: column, rows: 1, columns: 1 }, canvas);
  canvas.setAttribute("aria-description", `neuron ${view.neuron.join(", ")}`);
}

/** Mark the positions whose neurons see a pixel; null: none are marked. */
export function highlight(places) {
  if (places) {
    const layer = layerOf(app.network);
    placeOver(byId("seen"), places, { width: layer.columns, height: layer.rows });
  } else byId("seen").hidden = true;
}
