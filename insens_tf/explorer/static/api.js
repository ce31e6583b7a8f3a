// Asking the server, and what becomes of answers that nobody waits for any more.

const token = new URLSearchParams(location.search).get("token") ?? "";
const page = crypto.getRandomValues(new Uint32Array(2)).join("-");

/** An answer that is not wanted any more, since the view has moved on. */
export class Superseded extends Error {}

let pending = 0;

function count(change) {
  pending += change;
  // What drives the page from outside sees by it when all is there.
  document.body.dataset.pending = pending;
}

async function answered(what, body, signal, title) {
  count(1);
  try {
    return await answeredWhole(what, body, signal, title);
  } finally {
    count(-1);
  }
}

async function answeredWhole(what, body, signal, title) {
  let response;
  try {
    response = await fetch(`api/${what}${title ? `?title=${encodeURIComponent(title)}` : ""}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "X-Page": page },
      body: body instanceof Blob ? body : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw new Superseded();
    throw new Error("The explorer does not answer: has it been ended?");
  }
  if (response.status === 409) throw new Superseded();
  if (!response.ok) {
    const said = await response.json().catch(() => ({ error: response.statusText }));
    throw new Error(said.error);
  }
  return response;
}

export async function ask(what, given = {}, signal = undefined) {
  return (await answered(what, given, signal)).json();
}

export async function download(given) {
  return (await answered("download", given)).blob();
}

export async function drop(file) {
  return (await answered("drop", file, undefined, file.name)).json();
}

const current = new Map();

/** Ask for something that may take long; what was asked for at the same place before is ended. */
export async function askInstead(place, what, given) {
  current.get(place)?.abort();
  const controller = new AbortController();
  current.set(place, controller);
  try {
    return await ask(what, { ...given, place }, controller.signal);
  } finally {
    if (current.get(place) === controller) current.delete(place);
  }
}

export function endAll(places) {
  for (const place of places) current.get(place)?.abort();
}

/**
 * Make a function that runs one call at a time, and of the calls that come meanwhile the last one.
 * So what is drawn is followed as fast as the machine can, and no call is lost at the end.
 */
export function latest(run) {
  let running = false;
  let next = null;
  return async function call(...given) {
    if (running) {
      next = given;
      return;
    }
    running = true;
    try {
      for (let now = given; now; now = next) {
        next = null;
        await run(...now);
        if (!next) break;
      }
    } finally {
      running = false;
      next = null;
    }
  };
}
