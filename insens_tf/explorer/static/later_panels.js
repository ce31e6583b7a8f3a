// What comes when it is there: Insens of the layer, other methods, the top images.

import { askInstead, endAll, Superseded } from "./api.js";
import { decoded, show, showPng } from "./canvas.js";
import { byId, element, number, seconds } from "./format.js";
import { partShown } from "./neuron_panel.js";
import { layerOf, sent, view } from "./view.js";

const STATES = [
  ["inactive", "inactive neurons"],
  ["active", "active neurons"],
  ["all", "all neurons"],
];
// A view that is passed through is not computed.
const PATIENCE = 120;
let app;

export function startLaterPanels(given) {
  app = given;
  byId("insens").replaceChildren(...STATES.map(([state, title]) => figureOf(`insens-${state}`, title)));
  const select = byId("method");
  for (const { name, description } of app.network.methods) {
    select.append(element("option", { value: name, title: description }, name));
  }
  select.addEventListener("change", () => {
    const name = select.value;
    select.value = "";
    if (name && !view.methods.includes(name)) app.change({ methods: [...view.methods, name] });
  });
  byId("top").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) app.change({ image: button.dataset.image, edits: new Map() });
  });
}

function figureOf(id, title, ...more) {
  return element(
    "figure",
    { id },
    element("div", { class: "frame" }, element("canvas", { role: "img", "aria-label": title })),
    element("figcaption", {}, element("div", { class: "row" }, element("b", {}, title.replaceAll("_", "_\u200b")), ...more), element("span", { class: "text" })),
  );
}

function soon(run) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(run, PATIENCE);
  };
}

/** Fill a figure with what is asked for; true if it is there, and the view is still the same. */
async function fill(figure, place, what, given, part = null) {
  figure.querySelector(".frame").classList.add("waiting");
  const text = figure.querySelector(".text");
  try {
    const found = await askInstead(place, what, given);
    await showPng(figure.querySelector("canvas"), found.png, part);
    text.textContent = found.largest === 0 ? "0 everywhere" : `±${number(found.largest)}`;
    return found;
  } catch (error) {
    if (error instanceof Superseded) return null;
    figure.querySelector(".frame").classList.remove("waiting");
    text.textContent = error.message;
    return null;
  }
}

// --- Insens -------------------------------------------------------------------------------------

export const refreshInsens = soon(() => {
  const isOutput = layerOf(app.network).index === null;
  byId("insens-layer").textContent = view.layer;
  byId("insens").hidden = isOutput;
  byId("no-insens").hidden = !isOutput;
  endAll(STATES.map(([state]) => `insens ${state}`));
  if (isOutput) return;
  for (const [state] of STATES) showInsens(state, false);
});

async function showInsens(state, exact) {
  const figure = byId(`insens-${state}`);
  figure.querySelector(".row button")?.remove();
  const given = { view: sent(), state, exact };
  const found = await fill(figure, `insens ${state}`, "insens", given);
  if (!found) return;
  const text = figure.querySelector(".text");
  if (!found.is_estimate) {
    text.textContent += `, exact, ${seconds(found.seconds)}`;
    return;
  }
  text.textContent += `, estimated, off by about ${Math.round(100 * found.relative_error)} %`;
  if (found.goes_on) {
    text.textContent += `; exact in about ${seconds(found.seconds_of_exact)} …`;
    showInsens(state, true);
    return;
  }
  const button = element("button", { type: "button" }, `exact, about ${seconds(found.seconds_of_exact)}`);
  button.addEventListener("click", () => showInsens(state, true));
  figure.querySelector(".row").append(button);
}

// --- other methods ------------------------------------------------------------------------------

export const refreshMethods = soon(() => {
  const list = byId("methods");
  const there = new Map([...list.children].map((figure) => [figure.dataset.method, figure]));
  for (const [name, figure] of there) {
    if (view.methods.includes(name)) continue;
    endAll([`method ${name}`]);
    figure.remove();
  }
  for (const name of view.methods) {
    const figure = there.get(name) ?? methodFigure(name);
    list.append(figure);
    fill(figure, `method ${name}`, "method", { view: sent(), method: name }, partShown());
  }
});

function methodFigure(name) {
  const button = element("button", { type: "button", "aria-label": `remove ${name}` }, "×");
  button.addEventListener("click", () => app.change({ methods: view.methods.filter((one) => one !== name) }));
  const figure = figureOf(`method-${name}`, name, button);
  figure.dataset.method = name;
  return figure;
}

// --- the top images -----------------------------------------------------------------------------

export const refreshTop = soon(async () => {
  try {
    const found = await askInstead("top", "top", { view: sent() });
    byId("top-text").textContent = `v is above 0 for ${found.active} of ${found.images} images.`;
    byId("top").replaceChildren(...found.top.map(topImage));
  } catch (error) {
    if (!(error instanceof Superseded)) byId("top-text").textContent = error.message;
  }
});

function topImage(one) {
  const small = element("canvas", { "aria-hidden": "true" });
  decoded(one.png).then((bitmap) => show(small, bitmap));
  const label = `${one.title}: v = ${number(one.v)}`;
  return element(
    "button",
    { type: "button", "data-image": one.image, "aria-label": label, title: label },
    small,
    element("span", {}, number(one.v)),
  );
}
