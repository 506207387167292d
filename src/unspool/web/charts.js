// Pictures of numbers: strips of units, bars, rulers on which a uniform falls, lines. All have a text for screen readers.

import { numberWord, share } from "./describe.js";
import { colourOf, el, svg } from "./elements.js";

const SHADES = 64, palettes = new WeakMap();

/** Shades from no to full colour, each one word of an image; of two colours, those below zero come first. */
function palette(kind) {
  const own = kind === "signed" ? [colourOf("--minus"), colourOf("--plus")] : [colourOf(`--gate-${kind}`), colourOf(`--gate-${kind}`)];
  const paper = colourOf("--paper");
  if (!palettes.has(paper)) palettes.set(paper, new Map());
  const known = palettes.get(paper);
  if (!known.has(kind)) {
    const bytes = new Uint8ClampedArray(4 * (2 * SHADES + 1));
    for (let k = -SHADES; k <= SHADES; k++) {
      const colour = own[k < 0 ? 0 : 1], weight = Math.abs(k) / SHADES;
      bytes.set([...paper.map((part, i) => Math.round(part + (colour[i] - part) * weight)), 255], 4 * (k + SHADES));
    }
    known.set(kind, new Uint32Array(bytes.buffer));
  }
  return known.get(kind);
}

/** Paint numbers from -1 to 1, in units of `size`, or of a gate from 0 to 1, a dot each: in a row, or on top of each other. */
function paint(canvas, values, kind, size, across) {
  const count = Math.max(1, values.length), shades = palette(kind), image = new ImageData(across ? count : 1, across ? 1 : count);
  const words = new Uint32Array(image.data.buffer), scale = SHADES / size;
  for (let k = 0; k < values.length; k++) words[k] = shades[SHADES + Math.max(-SHADES, Math.min(SHADES, Math.round(values[k] * scale)))];
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function sizeOf(values, kind) {
  if (kind !== "signed") return 1;
  let size = 0.15;
  for (const x of values) size = Math.max(size, Math.abs(x));
  return size;
}

/**
 * Numbers of units side by side, a cell each; the arrow keys and the mouse tell each one's number.
 *
 * `kind` is "signed", or a gate: i, f, g or o. `chosen` is called with the unit of a click or of Enter.
 */
export function strip(values, { label, kind = "signed", unit = null, chosen = null, name = k => `unit ${k + 1}` }) {
  const canvas = el("canvas", { "aria-hidden": "true" }), out = el("output", {}), mark = el("i", { class: "mark" });
  paint(canvas, values, kind, sizeOf(values, kind), true);
  let at = unit ?? 0;
  const move = k => {
    at = Math.max(0, Math.min(values.length - 1, k));
    out.textContent = `${name(at)}: ${numberWord(values[at], 3)}`;
    mark.style.left = `${(100 * (at + 0.5)) / values.length}%`;
    box.setAttribute("aria-valuenow", at + 1);
    box.setAttribute("aria-valuetext", out.textContent);
  };
  const where = event => Math.floor(((event.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth) * values.length);
  const keys = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
  const box = el("div", {
    class: "strip", tabindex: 0, role: "slider", "aria-label": label, "aria-valuemin": 1, "aria-valuemax": values.length,
    onpointermove: event => move(where(event)),
    onclick: event => chosen?.((move(where(event)), at)),
    onkeydown: event => {
      if (event.key in keys) move(at + keys[event.key]);
      else if (event.key === "Enter") chosen?.(at);
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  }, canvas, mark, out);
  move(at);
  return box;
}

const GAP_DOTS = 12, DOTS_PER_REM = 40;

/** Strips without words on top of each other, as one picture: {values, kind, height}, heights in rem. */
export function stackedStrips(parts) {
  const heights = parts.map(part => part.height * DOTS_PER_REM), whole = heights.reduce((sum, height) => sum + height + GAP_DOTS, -GAP_DOTS);
  const canvas = el("canvas", { class: "stack", "aria-hidden": "true" }), image = new ImageData(1, whole), words = new Uint32Array(image.data.buffer);
  let at = 0;
  parts.forEach(({ values, kind }, p) => {
    const shades = palette(kind), scale = SHADES / sizeOf(values, kind), count = values.length;
    for (let dot = 0; dot < heights[p]; dot++) {
      const shade = Math.round(values[Math.floor((dot * count) / heights[p])] * scale);
      words[at + dot] = shades[SHADES + Math.max(-SHADES, Math.min(SHADES, shade))];
    }
    at += heights[p] + GAP_DOTS;
  });
  canvas.width = 1;
  canvas.height = whole;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Which strip of such a picture, and which of its numbers, lie so far down in it, from 0 to 1; null in a gap. */
export function stackedAt(parts, down) {
  const heights = parts.map(part => part.height * DOTS_PER_REM), whole = heights.reduce((sum, height) => sum + height + GAP_DOTS, -GAP_DOTS);
  let dot = down * whole;
  for (const [p, part] of parts.entries()) {
    if (dot < 0) return null;
    if (dot < heights[p]) return [p, Math.floor((dot * part.values.length) / heights[p])];
    dot -= heights[p] + GAP_DOTS;
  }
  return null;
}

/** The likeliest of some items as bars; the others are one line. */
export function bars(items, { picked = -1, most = 12, label }) {
  const order = items.map((item, k) => ({ ...item, k })).sort((a, b) => b.p - a.p);
  const shown = order.slice(0, most), rest = order.slice(most), top = Math.max(1e-9, shown[0]?.p ?? 0);
  if (picked >= 0 && !shown.some(item => item.k === picked)) {
    const own = rest.findIndex(item => item.k === picked);
    shown.push(...rest.splice(own, 1));
  }
  const left = rest.reduce((sum, item) => sum + item.p, 0);
  const row = item => el("li", { class: item.k === picked ? "picked" : null },
    el("span", { class: "name" }, item.label), el("i", { style: { width: `${(100 * item.p) / top}%` } }), el("b", {}, share(item.p)));
  const longest = Math.max(...shown.map(item => Math.min(16, String(item.label).length)));
  return el("ul", { class: "bars", "aria-label": label, style: { "--name": `${Math.max(2, 0.62 * longest + 0.4)}rem` } }, shown.map(row),
    rest.length ? el("li", { class: "rest" }, `${rest.length.toLocaleString("en")} more: ${share(left)}`) : null);
}

const RULER_LETTERS = 40;

/** The interval from 0 to 1, divided into parts, and the uniform that falls on one of them. */
export function ruler({ title, u, parts, picked, text }) {
  if (text) {
    const marks = [0.25, 0.5, 0.75].map(at => el("s", { style: { left: `${100 * at}%` } }));
    return el("div", { class: "ruler" }, el("p", {}, el("b", {}, title), " ", text, "."),
      u === undefined ? null : el("div", { class: "scale plain", "aria-hidden": "true" }, marks, el("span", { class: "needle", style: { left: `${100 * u}%` } })));
  }
  const chosen = parts[picked];
  let upto = 0;
  const cells = parts.map((part, k) => {
    const from = upto;
    upto += part.p;
    return part.p < 0.0008 && k !== picked ? null : el("i", {
      class: k === picked ? "picked" : k % 2 ? "odd" : "even", style: { left: `${100 * from}%`, width: `${100 * part.p}%` },
    }, part.p * RULER_LETTERS > String(part.label).length ? part.label : "");
  });
  return el("div", { class: "ruler" },
    el("p", {}, el("b", {}, title), ` The uniform ${u.toFixed(4)} falls on `, el("b", {}, chosen.name ?? chosen.label), `, which has ${share(chosen.p)}.`),
    el("div", { class: "scale", "aria-hidden": "true" }, cells, el("span", { class: "needle", style: { left: `${100 * u}%` } })));
}

/** The distribution of a number: masses as bars, values that repeat as needles, the drawn value as a line. */
export function numberChart(outlook, value, label) {
  const { bars: parts, points, missing } = outlook, W = 560, H = 150, base = H - 22;
  const low = parts[0].from, high = parts[parts.length - 1].to, wide = high - low || 1;
  const height = parts.map(part => part.p / Math.max(part.to - part.from, 1e-12)), top = Math.max(...height, 1e-12);
  const needle = Math.max(...points.map(point => point.p), missing, 0.2), x = at => 8 + ((W - 16) * (at - low)) / wide;
  const ends = [low, (low + high) / 2, high];
  return el("figure", { class: "number" }, svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label },
    parts.map((part, k) => svg("rect", {
      x: x(part.from), width: Math.max(0.6, x(part.to) - x(part.from) - 0.4), y: base - (base - 10) * (height[k] / top),
      height: (base - 10) * (height[k] / top), class: "mass",
    })),
    points.map(point => svg("g", { class: "point" },
      svg("line", { x1: x(point.at), x2: x(point.at), y1: base, y2: base - (base - 10) * (point.p / needle) }),
      svg("text", { x: x(point.at) + 4, y: base - (base - 10) * (point.p / needle) + 10 }, share(point.p)))),
    svg("line", { x1: 8, x2: W - 8, y1: base, y2: base, class: "axis" }),
    ends.map((end, k) => svg("text", { x: x(end), y: H - 6, "text-anchor": ["start", "middle", "end"][k] }, numberWord(end, 3))),
    Number.isFinite(value) ? [svg("line", { x1: x(value), x2: x(value), y1: 14, y2: base, class: "drawn" }),
      svg("text", { x: Math.max(20, Math.min(W - 20, x(value))), y: 11, "text-anchor": "middle", class: "drawn-value" }, numberWord(value))] : null),
  el("figcaption", {}, outlook.title, missing > 0 ? `; missing: ${share(missing)}` : ""));
}

/** A distribution of a number standing upright, for a column of one step: wide where it is likely, a line at the value. */
export function violin({ bars: all, points, missing }, value, [least, most]) {
  const parts = all.filter(part => part.to > least && part.from < most), few = parts.length ? parts : all;
  return upright(few, points.filter(({ at }) => at >= few[0].from && at <= few[few.length - 1].to), missing, value);
}

function upright(parts, points, missing, value) {
  const W = 60, H = 100, low = parts[0].from, wide = parts[parts.length - 1].to - low || 1, y = at => H - (H * (at - low)) / wide;
  const height = parts.map(part => part.p / Math.max(part.to - part.from, 1e-12)), top = Math.max(...height, 1e-12), needle = Math.max(...points.map(point => point.p), 0.2);
  const outline = parts.map((part, k) => `L${((W * height[k]) / top).toFixed(1)} ${y(part.from).toFixed(1)}V${y(part.to).toFixed(1)}`).join("");
  return [svg("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", class: "violin" }, svg("path", { d: `M0 ${H}${outline}L0 0Z`, class: "mass" }),
    points.map(point => svg("line", { x1: 0, x2: (W * point.p) / needle, y1: y(point.at), y2: y(point.at), class: "mark" })),
    Number.isFinite(value) ? svg("line", { x1: 0, x2: W, y1: y(value), y2: y(value), class: "drawn" }) : null),
  missing > 0.005 ? el("small", {}, `missing ${share(missing)}`) : null];
}

/** Lines over steps: `series` are {label, values, kind}; `at` marks a step. */
export function lines(series, { label, bands = [], at = null, low = null, high = null, format = x => numberWord(x, 3), height = 140, axis = "step" }) {
  const W = 560, H = height, LEFT = 84, all = series.flatMap(one => Array.from(one.values)).filter(Number.isFinite);
  const least = low ?? Math.min(...all, 0), top = high ?? Math.max(...all, 0), most = top > least ? top : least + 1, count = Math.max(...series.map(one => one.values.length));
  const x = t => (count > 1 ? LEFT + ((W - LEFT - 12) * t) / (count - 1) : W / 2), y = v => H - 22 - ((H - 34) * (v - least)) / (most - least || 1);
  const path = values => Array.from(values, (v, t) => (Number.isFinite(v) ? `${t && Number.isFinite(values[t - 1]) ? "L" : "M"}${x(t).toFixed(1)} ${y(v).toFixed(1)}` : "")).join("");
  return svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label, class: "lines" },
    [least, most].map(end => svg("g", {}, svg("line", { x1: LEFT, x2: W - 12, y1: y(end), y2: y(end), class: "axis" }),
      svg("text", { x: LEFT - 6, y: y(end) + 4, "text-anchor": "end" }, format(end)))),
    least < 0 && most > 0 ? svg("line", { x1: LEFT, x2: W - 12, y1: y(0), y2: y(0), class: "zero" }) : null,
    bands.map(({ from, to, kind }) => svg("path", { d: `${path(from)}${path(Array.from(to)).replace("M", "L").split("L").reverse().filter(Boolean).map(point => "L" + point).join("")}Z`, class: `band ${kind}` })),
    at !== null && at < count ? svg("line", { x1: x(at), x2: x(at), y1: 8, y2: H - 22, class: "drawn" }) : null,
    series.map(one => svg("path", { d: path(one.values), class: `line ${one.kind ?? ""}` })),
    series.map(one => (count < 40 ? Array.from(one.values, (v, t) => (Number.isFinite(v) ? svg("circle", { cx: x(t), cy: y(v), r: 2.4, class: one.kind ?? "" }) : null)) : null)),
    svg("text", { x: LEFT, y: H - 6 }, `${axis} 0`), svg("text", { x: W - 12, y: H - 6, "text-anchor": "end" }, `${axis} ${count - 1}`));
}
