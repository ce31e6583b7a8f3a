// Maps on canvases, a pixel a value, and what lies over them.

/** Decode a PNG file in base64. */
export async function decoded(png) {
  const bytes = Uint8Array.from(atob(png), (one) => one.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}

/** Show a picture on a canvas: all of it, or a part {top, left, rows, columns}. */
export function show(canvas, bitmap, part = null) {
  const { left, top, columns, rows } = part ?? {
    left: 0,
    top: 0,
    columns: bitmap.width,
    rows: bitmap.height,
  };
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, left, top, columns, rows, 0, 0, columns, rows);
}

export async function showPng(canvas, png, part = null) {
  canvas.parentElement.classList.remove("waiting");
  if (png === null) {
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  show(canvas, await decoded(png), part);
}

/** Place something over a canvas of so many rows and columns. */
export function placeOver(over, { top, left, rows, columns }, canvas) {
  over.hidden = false;
  over.style.top = `${(100 * top) / canvas.height}%`;
  over.style.left = `${(100 * left) / canvas.width}%`;
  over.style.height = `${(100 * rows) / canvas.height}%`;
  over.style.width = `${(100 * columns) / canvas.width}%`;
}

/** The row and column of a canvas that a pointer is over. */
export function cellAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const within = (value, count) => Math.min(count - 1, Math.max(0, Math.floor(value)));
  return {
    row: within(((event.clientY - box.top) / box.height) * canvas.height, canvas.height),
    column: within(((event.clientX - box.left) / box.width) * canvas.width, canvas.width),
  };
}

/** The row and column that an arrow key leads to; null for another key. */
export function cellByKey(event, { row, column }, rows, columns) {
  const steps = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    Home: [0, -columns],
    End: [0, columns],
  };
  const step = steps[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return null;
  const within = (value, count) => Math.min(count - 1, Math.max(0, value));
  return { row: within(row + step[0], rows), column: within(column + step[1], columns) };
}

/** Let arrow keys choose among the options of a list; one of them can be reached by Tab. */
export function chooseByKeys(list, choose) {
  list.addEventListener("keydown", (event) => {
    const options = [...list.querySelectorAll("[role=option]")];
    const now = options.indexOf(document.activeElement);
    if (now < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const first = options[0].getBoundingClientRect().top;
    const columns = options.filter((one) => one.getBoundingClientRect().top === first).length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    let next = now + (step ?? 0);
    if (event.key === "Home") next = 0;
    else if (event.key === "End") next = options.length - 1;
    else if (!step) return;
    event.preventDefault();
    if (!options[next]) return;
    options[next].focus();
    choose(options[next]);
  });
}

/** Scroll a list, and nothing around it, to one of its options. */
function scrollWithin(list, option) {
  const [outer, inner] = [list.getBoundingClientRect(), option.getBoundingClientRect()];
  if (inner.top < outer.top || inner.bottom > outer.bottom) {
    list.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
  }
  if (inner.left < outer.left || inner.right > outer.right) {
    list.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  }
}

/** Mark the option that is chosen, and make it the one that Tab reaches. */
export function markChosen(list, isChosen) {
  for (const option of list.querySelectorAll("[role=option]")) {
    const chosen = isChosen(option);
    option.setAttribute("aria-selected", chosen);
    option.tabIndex = chosen ? 0 : -1;
    if (chosen && !option.dataset.wasChosen) scrollWithin(list, option);
    if (chosen) option.dataset.wasChosen = "1";
    else delete option.dataset.wasChosen;
  }
  if (!list.querySelector("[aria-selected=true]")) {
    const first = list.querySelector("[role=option]");
    if (first) first.tabIndex = 0;
  }
}
