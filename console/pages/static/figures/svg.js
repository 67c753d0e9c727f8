// Plots as SVG, made of elements; colours come from the page's styles, so that light and dark both fit.

const SPACE = "http://www.w3.org/2000/svg";

/** Makes an SVG element; see `make` of dom.js. */
export function svg(tag, properties = {}, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== false));
  return element;
}

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

/** A frame with axes: x from 0 to `endX`, y from 0 to `endY`; what is drawn in it comes as functions of it. */
export class Plot {
  constructor({ width = 640, height = 320, endX = 1, endY = 1, left = 52, right = 16, top = 14, bottom = 46 }) {
    Object.assign(this, { width, height, endX, endY, left, right, top, bottom });
  }

  x(value) { return Math.round(10 * (this.left + (this.width - this.left - this.right) * Math.min(value, this.endX) / this.endX)) / 10; }

  y(value) { return Math.round(10 * (this.height - this.bottom - (this.height - this.top - this.bottom) * Math.min(value, this.endY) / this.endY)) / 10; }

  /** The lines and numbers of both axes. */
  axes({ nameX, nameY = null, writeX = (value) => percent(value, 0), writeY = (value) => percent(value, 0), nTicks = 5 }) {
    const parts = [];
    for (let i = 0; i <= nTicks; i += 1) {
      const [x, y] = [this.endX * i / nTicks, this.endY * i / nTicks];
      parts.push(
        svg("line", { class: "grid", x1: this.x(x), x2: this.x(x), y1: this.y(0), y2: this.y(this.endY) }),
        svg("line", { class: "grid", x1: this.x(0), x2: this.x(this.endX), y1: this.y(y), y2: this.y(y) }),
        svg("text", { class: "tick", x: this.x(x), y: this.y(0) + 16, "text-anchor": "middle" }, writeX(x)),
        svg("text", { class: "tick", x: this.left - 7, y: this.y(y) + 4, "text-anchor": "end" }, writeY(y)),
      );
    }
    parts.push(svg("text", { class: "axis", x: (this.left + this.width - this.right) / 2, y: this.height - 8, "text-anchor": "middle" }, nameX));
    if (nameY !== null) {
      const [x, y] = [13, (this.top + this.height - this.bottom) / 2];
      parts.push(svg("text", { class: "axis", x, y, "text-anchor": "middle", transform: `rotate(-90 ${x} ${y})` }, nameY));
    }
    return parts;
  }

  /** The whole picture; `label` says in words what it shows. */
  drawn(label, ...parts) {
    return svg("svg", { class: "plot", viewBox: `0 0 ${this.width} ${this.height}`, role: "img", "aria-label": label }, ...parts);
  }
}
