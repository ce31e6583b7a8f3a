// Numbers and names for readers.

/** A number to four significant digits, with a true minus sign. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const magnitude = Math.abs(value);
  const text =
    magnitude < 1e-3 || magnitude >= 1e5
      ? value.toExponential(3)
      : value.toPrecision(4);
  return text.replaceAll("-", "−");
}

export function share(value) {
  if (value === null || value === undefined) return "–";
  return `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
}

export function shape(sizes) {
  return sizes.join(" × ");
}

export function seconds(value) {
  if (value < 1) return `${Math.round(1000 * value)} ms`;
  return value < 120 ? `${value.toPrecision(2)} s` : `${Math.round(value / 60)} min`;
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") made.className = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);
