// Elements from data. Text goes in as text nodes only: no module writes markup, and the page's policy forbids it.

export const byId = (id) => document.getElementById(id);

/** Makes an element. `properties` are attributes, but for `on…`, which are listeners; false leaves one out. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
  return element;
}

/** Puts children in place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== false && child !== undefined));
}

/** Writes a probability: what is not 0 or 1 is never shown as such. */
export function share(value) {
  if (value > 0 && value < 0.001) return "< 0.001";
  if (value < 1 && value > 0.999) return "> 0.999";
  return value.toFixed(3);
}

/** A category's name as words. */
export const spoken = (name) => name.replaceAll("_", " ").replace(/^./u, (first) => first.toUpperCase());

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
