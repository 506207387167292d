// Many: two hundred sequences of this input, as a list, a fan or shares, and their lengths beside the learned hazards.

import { lines } from "./charts.js";
import { numberWord, share, wordOf } from "./describe.js";
import { el, svg } from "./elements.js";
import { sigmoid } from "./maths.js";

export const MANY = 200;
const MOST_LISTED = 40;

/** What two hundred sequences have in common. */
export function manyView(app, made) {
  const { model } = app, { form } = model.codec.schema, parts = [];
  if (form === "text" || model.codec.columnNames.length === 1) {
    const kind = model.codec.fields[0].dist.event.symbols != null;
    parts.push(kind ? listing(model, made) : null);
  }
  parts.push(...model.codec.columnNames.map(name => columnView(name, made)).filter(Boolean).slice(0, form === "text" ? 0 : 8));
  if (model.codec.stops) parts.push(lengths(model, made));
  return parts;
}

function listing(model, made) {
  const text = one => (model.codec.schema.form === "text" ? one.value : one.value.map(wordOf).join(" ")), counts = new Map();
  for (const one of made) counts.set(text(one), (counts.get(text(one)) ?? 0) + 1);
  const ranked = [...counts].sort((a, b) => b[1] - a[1]);
  return el("div", { class: "card" }, el("h3", {}, `${made.length} sequences, ${counts.size} different`),
    el("ol", { class: "listing" }, ranked.slice(0, MOST_LISTED).map(([words, count]) => el("li", {}, words === "" ? el("i", {}, "(empty)") : words, count > 1 ? el("small", {}, ` ${count}×`) : null))),
    el("p", { class: "quiet" }, "The page doesn't hold the training data, so it can't say which of these occur there."));
}

function columnView(name, made) {
  const longest = Math.max(...made.map(one => one.length)), steps = Math.min(longest, 200);
  const values = Array.from({ length: steps }, (_, t) => made.filter(one => t < one.length).map(one => one.columns.get(name)[t]));
  const present = values.map(list => list.filter(x => x !== null)), kind = present.flat().find(x => x !== null);
  if (kind === undefined) return null;
  if (typeof kind === "number") return el("div", { class: "card" }, el("h3", {}, name), fan(present.map(list => list.map(Number)), name));
  if (typeof kind === "bigint") {
    const days = present.map(list => list.map(x => Number(x / 1000n) / 86_400_000));
    return el("div", { class: "card" }, el("h3", {}, name), fan(days, name, x => new Date(x * 86_400_000).toISOString().slice(0, 10)));
  }
  return el("div", { class: "card" }, el("h3", {}, name), shares(values, name));
}

const QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95];

function fan(values, name, format = x => numberWord(x, 3)) {
  const at = QUANTILES.map(q => values.map(list => {
    const ordered = Float64Array.from(list).sort();
    return ordered.length ? ordered[Math.min(ordered.length - 1, Math.floor(q * ordered.length))] : NaN;
  }));
  const all = at.flat().filter(Number.isFinite), low = Math.min(...all), high = Math.max(...all);
  const picture = lines([{ values: at[2], kind: "model" }],
    { label: `quantiles of ${name} by step`, low, high, format, bands: [{ from: at[0], to: at[4], kind: "outer" }, { from: at[1], to: at[3], kind: "inner" }] });
  return [picture, el("p", { class: "quiet" }, "By step: the median, the middle half, and the range of nine in ten sequences.")];
}

const TONES = 6;

function shares(values, name) {
  const totals = new Map();
  values.flat().forEach(x => totals.set(wordOf(x), (totals.get(wordOf(x)) ?? 0) + 1));
  const words = [...totals].sort((a, b) => b[1] - a[1]).slice(0, TONES).map(([word]) => word), W = 560, H = 120, count = values.length;
  const columns = values.map((list, t) => {
    let upto = 0;
    return words.map((word, k) => {
      const p = list.filter(x => wordOf(x) === word).length / Math.max(1, list.length), y = upto;
      upto += p;
      return svg("rect", { x: (W * t) / count, width: Math.max(1, W / count - 1), y: H * y, height: H * p, class: `tone${k}` });
    });
  });
  return [svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `shares of ${name} by step` }, columns),
    el("p", { class: "legend" }, words.map((word, k) => el("span", {}, el("i", { class: `tone${k}` }), word)))];
}

function lengths(model, made) {
  const longest = Math.max(...made.map(one => one.length)), counts = new Array(longest + 1).fill(0), bias = model.network.stop[1];
  for (const one of made) counts[one.length] += 1 / made.length;
  let left = 1;
  const learned = counts.map((_, t) => {
    const hazard = sigmoid(bias[Math.min(t, bias.length - 1)]), p = left * hazard;
    left *= 1 - hazard;
    return p;
  });
  const mean = made.reduce((sum, one) => sum + one.length, 0) / made.length;
  return el("div", { class: "card" }, el("h3", {}, "How long they are"),
    lines([{ values: counts, kind: "model" }, { values: learned, kind: "reference" }], { label: `lengths, ${numberWord(mean, 3)} steps on average`, low: 0, format: share, axis: "length" }),
    el("p", { class: "quiet" }, `The mean is ${numberWord(mean, 3)} steps. The grey line is what the learned biases of the positions alone would give; the state makes the difference.`));
}

