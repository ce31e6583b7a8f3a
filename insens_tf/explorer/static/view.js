// What is looked at, and the address that says it.

/** The view: `edits` has the level, 0 to 255, of each pixel that is drawn over. */
export const view = {
  image: "0",
  layer: "",
  neuron: [],
  edits: new Map(),
  step: 0,
  methods: [],
  zoom: null,
};

function packed(edits) {
  const bytes = new Uint8Array(4 * edits.size);
  const numbers = new DataView(bytes.buffer);
  let at = 0;
  for (const [pixel, level] of edits) {
    numbers.setUint32(at, pixel * 256 + level);
    at += 4;
  }
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_");
}

function unpacked(text) {
  const edits = new Map();
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  } catch {
    return edits;
  }
  const numbers = new DataView(bytes.buffer);
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const number = numbers.getUint32(at);
    edits.set(Math.floor(number / 256), number % 256);
  }
  return edits;
}

/** What the server is told of the view. */
export function sent() {
  return {
    image: view.image,
    layer: view.layer,
    neuron: view.neuron.join("."),
    edits: packed(view.edits),
  };
}

/** The part of the address behind # that restores the view. */
export function address() {
  const parts = new URLSearchParams({ image: view.image, layer: view.layer, neuron: view.neuron.join(".") });
  if (view.edits.size) parts.set("edits", packed(view.edits));
  if (view.step) parts.set("step", String(view.step));
  if (view.methods.length) parts.set("methods", view.methods.join(","));
  if (view.zoom !== null) parts.set("zoom", view.zoom ? "1" : "0");
  return `#${parts}`;
}

/** Read a view from an address; what it does not say stays as `defaults` have it. */
export function restore(hash, defaults, network) {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  Object.assign(view, {
    image: parts.get("image") ?? defaults.image,
    layer: parts.get("layer") ?? defaults.layer,
    edits: unpacked(parts.get("edits") ?? ""),
    step: Math.min(2, Math.max(-1, Number(parts.get("step")) || 0)),
    methods: (parts.get("methods") ?? "").split(",").filter((name) => network.methods.some((one) => one.name === name)),
    zoom: parts.has("zoom") ? parts.get("zoom") === "1" : null,
  });
  const layer = layerOf(network);
  if (!layer) Object.assign(view, { layer: defaults.layer });
  const numbers = (parts.get("neuron") ?? "").split(".").map(Number);
  const { shape } = layerOf(network);
  const fits =
    layer && parts.get("neuron") && numbers.length === shape.length &&
    numbers.every((one, axis) => Number.isInteger(one) && one >= 0 && one < shape[axis]);
  view.neuron = fits ? numbers : view.layer === defaults.layer ? defaults.neuron : shape.map(() => 0);
}

export function layerOf(network, name = view.layer) {
  return network.layers.find((one) => one.name === name);
}

/** The channel, row and column of the view's neuron on its layer's maps. */
export function placeOf(layer, neuron = view.neuron) {
  let flat = 0;
  for (const [axis, one] of neuron.entries()) flat = flat * layer.shape[axis] + one;
  const position = Math.floor(flat / layer.channels);
  return {
    channel: flat % layer.channels,
    row: Math.floor(position / layer.columns),
    column: position % layer.columns,
  };
}

/** The neuron at a place of a layer's maps; null where there is none. */
export function neuronAt(layer, { channel, row, column }) {
  let flat = (row * layer.columns + column) * layer.channels + channel;
  if (flat >= layer.neurons) return null;
  const neuron = [];
  for (const side of [...layer.shape].reverse()) {
    neuron.unshift(flat % side);
    flat = Math.floor(flat / side);
  }
  return neuron;
}

/** The part of the input that the view's neuron sees; null where it sees all of it. */
export function fieldOf(network) {
  const layer = layerOf(network);
  if (!layer.windows) return null;
  const { row, column } = placeOf(layer);
  const [rows, columns] = layer.windows;
  const along = ([size, stride, padding], place, length) => {
    const start = place * stride - padding;
    return [Math.max(0, start), Math.min(length, start + size)];
  };
  const [top, bottom] = along(rows, row, network.height);
  const [left, right] = along(columns, column, network.width);
  const isWhole = bottom - top === network.height && right - left === network.width;
  return bottom <= top || right <= left || isWhole
    ? null
    : { top, left, rows: bottom - top, columns: right - left };
}

/** The places of a layer's map whose neurons see a pixel; null where all do. */
export function placesThatSee(layer, { row, column }) {
  if (!layer.windows) return null;
  const along = ([size, stride, padding], pixel, count) => [
    Math.max(0, Math.ceil((pixel + padding - size + 1) / stride)),
    Math.min(count - 1, Math.floor((pixel + padding) / stride)),
  ];
  const [top, bottom] = along(layer.windows[0], row, layer.rows);
  const [left, right] = along(layer.windows[1], column, layer.columns);
  return { top, left, rows: bottom - top + 1, columns: right - left + 1 };
}
