// Elements of the page. Everything that comes from a model is text: nothing is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function made(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || (value === false && !name.startsWith("aria-"))) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.entries(value).forEach(([key, part]) => node.style.setProperty(key, part));
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(3).filter(child => child !== null && child !== undefined && child !== false)
    .map(child => (child instanceof Node ? child : String(child))));
  return node;
}

/** An element of HTML with attributes and children; a child that is no element is text. */
export function el(tag, attributes, ...children) {
  return made(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function svg(tag, attributes, ...children) {
  return made(document.createElementNS(SVG, tag), attributes, children);
}

export function fill(node, ...children) {
  node.replaceChildren(...children.flat(3).filter(Boolean));
  return node;
}

/** A section with a title and a sentence about what it shows. */
export function section(id, title, lead, ...children) {
  return el("section", { id, "aria-labelledby": `${id}-title` },
    el("h2", { id: `${id}-title` }, title), el("p", { class: "lead" }, lead), ...children);
}

const colours = new Map();

/** A colour of the style, as [red, green, blue]; the browser is asked once, since it then computes all styles. */
export function colourOf(name) {
  if (!colours.has(name)) {
    const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim(), digits = text.replace("#", "");
    colours.set(name, [0, 2, 4].map(at => parseInt(digits.slice(at, at + 2), 16)));
  }
  return colours.get(name);
}

/** Ask for the colours again: light has become dark, or the other way round. */
export function forgetColours() {
  colours.clear();
}

/** The function that is called a moment after its last call. */
export function later(milliseconds, task) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => task(...given), milliseconds);
  };
}
