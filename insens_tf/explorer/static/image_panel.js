// The image: which one, what is drawn on it, what the network makes of it.

import { ask, drop, latest } from "./api.js";
import { cellAt, cellByKey, chooseByKeys, decoded, markChosen, placeOver, show } from "./canvas.js";
import { byId, element, number, share } from "./format.js";
import { fieldOf, layerOf, neuronAt, placeOf, placesThatSee, sent, view } from "./view.js";

const canvas = byId("input");
let app;
let drawing = false;
let cursor = { row: 0, column: 0 };
let last = null;

export function startImagePanel(given) {
  app = given;
  canvas.width = app.network.width;
  canvas.height = app.network.height;
  byId("draw").disabled = !app.network.drawable;
  byId("blank").hidden = !app.network.drawable;
  startStrip();
  startPointer();
  canvas.addEventListener("keydown", onKey);
  byId("draw").addEventListener("click", () => setDrawing(!drawing));
  byId("blank").addEventListener("click", () => {
    setDrawing(true);
    app.change({ image: "blank", edits: new Map() });
  });
  byId("undraw").addEventListener("click", () => app.change({ edits: new Map() }));
  byId("file").addEventListener("change", (event) => take(event.target.files[0]));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
}

async function take(file) {
  if (!file) return;
  await app.tried(async () => {
    const { image } = await drop(file);
    app.change({ image, edits: new Map() });
    app.say(`${file.name} is the image now`);
  });
}

/** Let the pointer draw, or choose neurons. */
export function setDrawing(now) {
  drawing = now && app.network.drawable;
  byId("draw").setAttribute("aria-pressed", drawing);
  byId("field").style.visibility = drawing ? "hidden" : "";
}

export const toggleDrawing = () => setDrawing(!drawing);

// --- the strip ----------------------------------------------------------------------------------

function startStrip() {
  const strip = byId("strip");
  strip.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) app.change({ image: option.dataset.image, edits: new Map() });
  });
  chooseByKeys(strip, (option) => app.change({ image: option.dataset.image, edits: new Map() }));
  more(0);
}

async function more(start) {
  await app.tried(async () => {
    const { images } = await ask("strip", { start });
    const strip = byId("strip");
    strip.querySelector(".more")?.remove();
    for (const one of images) {
      const small = element("canvas", { "aria-hidden": "true" });
      const option = element(
        "button",
        { type: "button", role: "option", "data-image": one.image, "aria-label": one.title, title: one.title },
        small,
      );
      decoded(one.png).then((bitmap) => show(small, bitmap));
      strip.append(option);
    }
    const next = start + images.length;
    if (next < app.network.images) {
      const button = element("button", { type: "button", role: "option", "aria-selected": "false", class: "more" }, `${next} …`);
      button.title = "More images";
      button.addEventListener("click", (event) => {
        event.stopPropagation();
        more(next);
      });
      strip.append(button);
    }
    markStrip();
  });
}

function markStrip() {
  markChosen(byId("strip"), (option) => option.dataset.image === view.image);
}

// --- drawing and choosing -----------------------------------------------------------------------

function startPointer() {
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    cursor = cellAt(canvas, event);
    if (drawing) stroke(cursor, cursor);
    else chooseBy(cursor);
    last = cursor;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last === null) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      const now = cellAt(canvas, one);
      if (now.row === last.row && now.column === last.column) continue;
      if (drawing) stroke(last, now);
      last = now;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      last = null;
    });
  }
}

/** Draw from one pixel to another with the brush. */
function stroke(from, to) {
  const size = Number(byId("brush").value);
  const level = Number(byId("level").value);
  const { width, height } = app.network;
  const steps = Math.max(1, Math.abs(to.row - from.row), Math.abs(to.column - from.column));
  const context = canvas.getContext("2d");
  context.fillStyle = `rgb(${level} ${level} ${level})`;
  const before = Math.floor((size - 1) / 2);
  for (let step = 0; step <= steps; step += 1) {
    const top = Math.round(from.row + ((to.row - from.row) * step) / steps) - before;
    const left = Math.round(from.column + ((to.column - from.column) * step) / steps) - before;
    for (let row = Math.max(0, top); row < Math.min(height, top + size); row += 1) {
      for (let column = Math.max(0, left); column < Math.min(width, left + size); column += 1) {
        view.edits.set(row * width + column, level);
        context.fillRect(column, row, 1, 1);
      }
    }
  }
  app.change({ edits: view.edits }, { push: false });
}

/** Choose the neuron of the layer, in the same channel, that sees a pixel in its middle. */
function chooseBy({ row, column }) {
  const layer = layerOf(app.network);
  const places = placesThatSee(layer, { row, column });
  app.highlight(places);
  if (!places) {
    app.say(`Every neuron of ${layer.name} sees this pixel`);
    return;
  }
  const middle = (start, size) => start + Math.floor((size - 1) / 2);
  const neuron = neuronAt(layer, {
    channel: placeOf(layer).channel,
    row: middle(places.top, places.rows),
    column: middle(places.left, places.columns),
  });
  app.say(`${places.rows} × ${places.columns} positions of ${layer.name} see pixel (${row}, ${column})`);
  app.change({ neuron }, { keepHighlight: true });
}

function onKey(event) {
  const next = cellByKey(event, cursor, app.network.height, app.network.width);
  if (next) {
    event.preventDefault();
    cursor = next;
    placeOver(byId("pixel"), { top: cursor.row, left: cursor.column, rows: 1, columns: 1 }, canvas);
    canvas.setAttribute("aria-description", `pixel ${cursor.row}, ${cursor.column}`);
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    if (drawing) stroke(cursor, cursor);
    else chooseBy(cursor);
  }
}

// --- what is shown ------------------------------------------------------------------------------

/** Outline what the neuron sees. */
export function refreshField() {
  const field = fieldOf(app.network);
  const over = byId("field");
  over.classList.toggle("whole", field === null);
  const { width, height } = app.network;
  placeOver(over, field ?? { top: 0, left: 0, rows: height, columns: width }, canvas);
  byId("field-text").textContent = field
    ? `· outlined: the ${field.rows} × ${field.columns} pixels that the neuron sees`
    : "· the neuron sees all of it";
}

export const refreshImage = latest(async () => {
  await app.tried(async () => {
    const found = await ask("image", { view: sent() });
    // A stroke that has gone on meanwhile is not taken back.
    if (last === null) {
      show(canvas, await decoded(found.png));
    }
    markStrip();
    byId("undraw").disabled = view.edits.size === 0;
    byId("image-name").textContent = found.title + (view.edits.size ? ", drawn on" : "");
    app.active(found.active);
    showPrediction(found.prediction);
    byId("drawn-switched").hidden = found.switched === null;
    if (found.switched) showSwitched(byId("drawn-switched"), found.switched);
  });
});

const MOST_BARS = 12;

function showPrediction(prediction) {
  const list = byId("prediction");
  const focused = list.contains(document.activeElement) && document.activeElement.dataset.neuron;
  const bars = prediction.flatMap((one) => {
    const areShares = one.outputs?.every((value) => value >= 0 && value <= 1) ?? false;
    const lengths = areShares ? one.outputs : one.logits;
    const [least, most] = [areShares ? 0 : Math.min(...lengths), areShares ? 1 : Math.max(...lengths)];
    let classes = one.logits.map((_, place) => place);
    if (classes.length > MOST_BARS) {
      classes = classes.sort((a, b) => one.logits[b] - one.logits[a]).slice(0, MOST_BARS);
    }
    return classes.map((place) => barOf(one, place, areShares, (lengths[place] - least) / (most - least || 1)));
  });
  list.replaceChildren(...bars);
  if (focused) list.querySelector(`[data-neuron="${focused}"]`)?.focus();
}

function barOf(one, place, areShares, part) {
  const filled = element("span");
  filled.style.width = `${100 * part}%`;
  const name = app.network.layers.filter((layer) => layer.index === null).length > 1 ? `${one.layer} ${place}` : `${place}`;
  const given = one.outputs ? (areShares ? share(one.outputs[place]) : number(one.outputs[place])) : "";
  const button = element(
    "button",
    {
      type: "button",
      "data-neuron": `${one.layer} ${place}`,
      class: place === one.class ? "winner" : null,
      title: `output ${name}: ${given}, logit ${number(one.logits[place])}; explain it`,
    },
    element("span", {}, name),
    element("span", { class: "bar" }, filled),
    element("span", { class: "number" }, given),
    element("span", { class: "number" }, number(one.logits[place])),
  );
  button.addEventListener("click", () => {
    const layer = layerOf(app.network, one.layer);
    app.change({ layer: one.layer, neuron: neuronOfFlat(layer, place) });
  });
  return element("li", {}, button);
}

function neuronOfFlat(layer, flat) {
  const position = Math.floor(flat / layer.channels);
  return neuronAt(layer, {
    channel: flat % layer.channels,
    row: Math.floor(position / layer.columns),
    column: position % layer.columns,
  });
}

/** Fill a table of what switched, layers in order. */
export function showSwitched(within, switched) {
  within.querySelector("tbody").replaceChildren(
    ...switched.map((one) =>
      element(
        "tr",
        {},
        ...[one.layer, one.on, one.off, one.neurons].map((value) => element("td", {}, value.toLocaleString("en"))),
      ),
    ),
  );
}
