// Units: the track of one, its strongest contexts, how long it remembers, units that follow a pattern, trajectories.

import { lines, strip } from "./charts.js";
import { numberWord, stepWord, wordOf } from "./describe.js";
import { colourOf, el, svg } from "./elements.js";
import { gateOf } from "./phases.js";

const MOST_CHIPS = 400;

/** The track of a unit over the sequence, with its gates. */
export function unitTrack(app) {
  const { made, state, model } = app, H = model.network.size, k = Math.min(state.unit, H - 1), l = Math.min(state.layer, model.network.layers - 1);
  const layers = made.steps.map(step => step.layers[l]), h = layers.map(layer => layer.h[k]), c = layers.map(layer => layer.c[k]);
  const paper = colourOf("--paper"), [plus, minus] = [colourOf("--plus"), colourOf("--minus")], size = Math.max(0.15, ...h.map(Math.abs));
  const shade = x => `rgb(${(x < 0 ? minus : plus).map((part, i) => Math.round(paper[i] + (part - paper[i]) * 0.5 * Math.min(1, Math.abs(x) / size)))})`;
  const chips = made.steps.slice(0, MOST_CHIPS).map((step, t) => el("button", {
    type: "button", class: step.stop ? "chip end" : "chip", "aria-pressed": state.pattern.has(t), style: { background: shade(h[t]) },
    "aria-label": `step ${t}, ${step.stop ? "end" : stepWord(model, made, t)}, h ${numberWord(h[t], 3)}`, onclick: () => app.togglePattern(t),
  }, step.stop ? "end" : stepWord(model, made, t)));
  return [el("div", { class: "tabs" }, el("div", { class: "field" }, el("label", { for: "unit-number" }, `unit, 1 to ${H}`), el("input", {
    id: "unit-number", type: "number", min: 1, max: H, value: k + 1, oninput: event => /^\d+$/.test(event.target.value) && app.set({ unit: Math.max(0, Math.min(H - 1, Number(event.target.value) - 1)) }),
  })), model.network.layers > 1 ? el("div", { class: "field" }, el("label", { for: "layer-number" }, "layer"), el("select", {
    id: "layer-number", onchange: event => app.set({ layer: event.target.selectedIndex }),
  }, Array.from({ length: model.network.layers }, (_, i) => el("option", { selected: i === l }, i + 1)))) : null),
  el("p", {}, "What h of this unit is at each step. Press steps to mark a pattern, and the units that follow it are listed below."),
  el("div", { class: "chips unit-chips" }, chips),
  lines([{ values: h, kind: "model" }, { values: c, kind: "reference" }], { label: `h and c of unit ${k + 1} by step`, at: Math.min(state.step, h.length - 1) }),
  el("p", { class: "quiet" }, "Blue: the state h. Grey: the memory c.")];
}

/** Units that follow the marked pattern, by their correlation with it over the steps. */
export function followers(app) {
  const { made, state, model } = app, H = model.network.size, l = Math.min(state.layer, model.network.layers - 1);
  if (!state.pattern.size) return el("p", { class: "quiet" }, "No step is marked.");
  const marks = made.steps.map((_, t) => (state.pattern.has(t) ? 1 : 0));
  const ranked = Array.from({ length: H }, (_, k) => [k, correlation(marks, made.steps.map(step => step.layers[l].h[k]))]);
  ranked.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  return el("p", { class: "ranks" }, "Units that follow it: ", ranked.slice(0, 8).map(([k, r]) => el("button", { type: "button", class: "soft", onclick: () => app.set({ unit: k }) }, `${k + 1} (${numberWord(r, 2)})`)));
}

function correlation(a, b) {
  const mean = list => list.reduce((sum, x) => sum + x, 0) / list.length, [ma, mb] = [mean(a), mean(b)];
  let ab = 0, aa = 0, bb = 0;
  a.forEach((x, t) => {
    ab += (x - ma) * (b[t] - mb);
    aa += (x - ma) ** 2;
    bb += (b[t] - mb) ** 2;
  });
  return aa && bb ? ab / Math.sqrt(aa * bb) : 0;
}

/** How long each unit remembers, and the strongest contexts of the chosen one, over many sequences with their steps. */
export function unitStatistics(app, traced) {
  const { model, state } = app, H = model.network.size, k = Math.min(state.unit, H - 1), l = Math.min(state.layer, model.network.layers - 1);
  const forget = new Float64Array(H), found = [];
  let count = 0;
  traced.forEach(one => one.steps.forEach((step, t) => {
    const gate = gateOf(step.layers[l], "f", H);
    for (let i = 0; i < H; i++) forget[i] += gate[i];
    count++;
    found.push({ one, t, h: step.layers[l].h[k] });
  }));
  const mean = forget.map(x => x / Math.max(1, count)), half = f => (f >= 0.9999 ? "thousands of steps" : f <= 0.5 ? "a step or less" : `${numberWord(Math.log(0.5) / Math.log(f), 2)} steps`);
  found.sort((a, b) => Math.abs(b.h) - Math.abs(a.h));
  const ranked = Array.from(mean, (f, i) => [i, f]).sort((a, b) => b[1] - a[1]);
  const seen = new Set(), contexts = found.filter(({ one, t }) => {
    const words = contextOf(model, one, t).join("|");
    return seen.has(words) ? false : seen.add(words);
  }).slice(0, 8);
  return [el("div", { class: "row" }, el("div", { class: "row-name" }, el("b", {}, "mean forget gate"), el("small", {}, "how much of c a step keeps")), strip(mean, { label: "mean forget gate of every unit", kind: "f", unit: k, chosen: unit => app.set({ unit }) })),
    el("p", {}, `Unit ${k + 1} keeps ${(100 * mean[k]).toFixed(0)} % of its memory at a step on average: half of it is left after ${half(mean[k])}.`),
    el("p", { class: "ranks" }, "Longest memories: ", ranked.slice(0, 8).map(([i, f]) => el("button", { type: "button", class: "soft", onclick: () => app.set({ unit: i }) }, `${i + 1} (${half(f)})`))),
    el("h3", {}, `Where unit ${k + 1} is strongest`),
    el("ul", { class: "contexts" }, contexts.map(({ one, t, h }) => {
      const words = contextOf(model, one, t), last = words.pop();
      return el("li", {}, el("b", {}, numberWord(h, 2)), " after ", el("span", {}, words.map(word => (model.codec.schema.form === "text" ? word : `${word}, `)).join("")), el("mark", {}, last));
    }))];
}

/** The last steps before the state at step t, which has read up to step t - 1. */
function contextOf(model, one, t) {
  const from = Math.max(0, t - 8), names = model.codec.columnNames;
  const words = Array.from({ length: t - from }, (_, i) => names.slice(0, 2).map(name => wordOf(one.columns.get(name)[from + i])).join(" "));
  return words.length ? words : ["START"];
}

const MOST_NAMED = 16;

/** The paths of h in its two principal components, for a few inputs: [{label, states, words}], words as each state has read them. */
export function trajectories(paths) {
  const all = paths.flatMap(path => path.states), H = all[0].length, mean = new Float64Array(H);
  all.forEach(h => h.forEach((x, i) => { mean[i] += x / all.length; }));
  const centred = all.map(h => h.map((x, i) => x - mean[i])), axes = [];
  for (let a = 0; a < 2; a++) {
    let axis = Float64Array.from({ length: H }, (_, i) => Math.sin(i * 12.9898 + a * 78.233) + 0.01);
    for (let round = 0; round < 30; round++) {
      const next = new Float64Array(H);
      for (const h of centred) {
        const along = h.reduce((sum, x, i) => sum + x * axis[i], 0);
        for (let i = 0; i < H; i++) next[i] += along * h[i];
      }
      for (const other of axes) {
        const along = next.reduce((sum, x, i) => sum + x * other[i], 0);
        for (let i = 0; i < H; i++) next[i] -= along * other[i];
      }
      const length = Math.hypot(...next) || 1;
      axis = next.map(x => x / length);
    }
    axes.push(axis);
  }
  const place = h => axes.map(axis => h.reduce((sum, x, i) => sum + (x - mean[i]) * axis[i], 0)), placed = paths.map(path => path.states.map(place));
  const flat = placed.flat(), [left, right, low, high] = [Math.min(...flat.map(p => p[0])), Math.max(...flat.map(p => p[0])), Math.min(...flat.map(p => p[1])), Math.max(...flat.map(p => p[1]))];
  const W = 560, Hh = 320, x = p => 14 + ((W - 28) * (p[0] - left)) / (right - left || 1), y = p => Hh - 14 - ((Hh - 28) * (p[1] - low)) / (high - low || 1);
  return [svg("svg", { viewBox: `0 0 ${W} ${Hh}`, role: "img", "aria-label": "paths of the state in two principal components", class: "paths" },
    placed.map((points, k) => svg("g", { class: `path${k}` },
      svg("path", { d: points.map((p, t) => `${t ? "L" : "M"}${x(p).toFixed(1)} ${y(p).toFixed(1)}`).join("") }),
      points.map((p, t) => svg("circle", { cx: x(p), cy: y(p), r: t ? 2.6 : 5 }, svg("title", {}, `${paths[k].label}: ${t ? `after ${paths[k].words[t - 1]}` : "the first state"}`))),
      points.length > MOST_NAMED ? null : points.slice(1).map((p, t) => (paths[k].words[t].length < 4 ? svg("text", { x: x(p) + 5, y: y(p) - 4 }, paths[k].words[t]) : null))))),
  el("p", { class: "legend" }, paths.map((path, k) => el("span", {}, el("i", { class: `path${k}` }), path.label)))];
}
