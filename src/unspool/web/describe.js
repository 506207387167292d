// Distributions and values in words and numbers, for the page: what could come, and how uniforms decide.

import {
  AutoregressiveBernoulli, Categorical, Circular, Discretized, Histogram, Mixture, Normal, Point, PointMasses, Reflected,
  StudentT, WhereActive, WithMissing, innermost, truncateLogits,
} from "./distributions.js";
import { sigmoid, softmax } from "./maths.js";
import { writeDate } from "./values.js";

const BINS = 72, MOST_CELLS = 60, CLOSE_UP = 0.6, TAIL = 1e-3;
const SIGNS = { " ": "␣", "\n": "↵", "\t": "⇥" };

/** A value as a short text; white space alone as a sign. */
export function wordOf(value) {
  if (value === null || value === undefined) return "missing";
  if (typeof value === "bigint") return writeDate(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return numberWord(value);
  if (Array.isArray(value)) return `(${value.slice(0, 4).map(wordOf).join(", ")}${value.length > 4 ? ", …" : ""})`;
  const text = String(value);
  return text === "" ? "·" : /^\s+$/.test(text) ? Array.from(text, sign => SIGNS[sign] ?? "␣").join("") : text;
}

export function numberWord(x, digits = 4) {
  if (Number.isNaN(x)) return "missing";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (Number.isInteger(x) && Math.abs(x) < 1e9) return String(x).replace("-", "−");
  const size = Math.abs(x), text = size >= 1e9 || size < 1e-4 ? x.toExponential(digits - 2) : String(Number(x.toPrecision(digits)));
  return text.replace("-", "−");
}

export function share(p) {
  if (p === 0 || p === 1) return `${100 * p}\u00a0%`;
  if (p > 0 && p < 0.0005) return "<\u00a00.1\u00a0%";
  if (p < 1 && p > 0.9995) return ">\u00a099.9\u00a0%";
  return `${(100 * p).toFixed(p < 0.0995 || p > 0.9905 ? 1 : 0)}\u00a0%`;
}

/** What a field of the network is called. */
export function fieldTitle({ field, part, column }) {
  return part ? `${field.name}: ${column.title}` : field.name;
}

/** The columns that a field of the network shows at a step, in words. */
export function fieldValue(made, one, t) {
  if (one.part) return null;
  return one.field.columns.map(name => [name, made.columns.get(name)[t]]);
}

/** A value of a column of a step: a large whole number is a date in columns of dates alone. */
export function cellWord(codec, name, value) {
  if (typeof value === "boolean") return value ? name : `no ${name}`;
  return typeof value === "bigint" && !codec.dates.has(name) ? String(value) : wordOf(value);
}

/** A step of a sequence in a few words: of text its piece, of records the values of its first columns. */
export function stepWord(model, made, t) {
  const names = model.codec.columnNames, word = name => cellWord(model.codec, name, made.columns.get(name)[t]);
  if (names.length === 1) return typeof made.columns.get(names[0])[t] === "boolean" ? wordOf(made.columns.get(names[0])[t]) : word(names[0]);
  return names.slice(0, 3).map(word).join(" · ") + (names.length > 3 ? " …" : "");
}

/** The name of a symbol of a column. */
export function symbolWord(column, code) {
  if (column.title) return column.title === "weekday" ? ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][code] : String(code);
  const name = column.name ? column.name(code) : code;
  return typeof name === "bigint" ? String(name) : wordOf(name);
}

/** The number column in a field of the network, and what its axis is called. */
function axisOf({ column, field }) {
  if (column.counts) return [column.counts, `${field.name}: ${column.title}`];
  if (column.increment) return [column.increment, `change of ${field.name}`];
  if (column.distance) return [column.distance, `distance of ${field.name}`];
  return [column, column.cumulative ? `change of ${field.name}` : field.name];
}

/** A field as it is at a step: where values add up and none is before the first one, that one is no change. */
export function fieldAt(one, j, step, made) {
  const { column } = one;
  if (step.number || !Number.isNaN(made.first[j]) || axisOf(one)[0] !== column || !column.cumulative) return one;
  const own = { loc: column.first_loc, scale: column.first_scale, cumulative: false };
  return { ...one, column: Object.create(column, Object.fromEntries(Object.entries(own).map(([name, value]) => [name, { value }]))) };
}

/** Original units of a z on the axis of a field, of a change where values add up. */
export function unitsOf(one, z) {
  const { column } = one;
  if (column.kind === "angle") return column.valueOf(z);
  const [number] = axisOf(one);
  return number.cumulative ? z * number.scale + number.loc : number.valueOf(z);
}

function massBetween(dist, params, low, high) {
  const mass = (of, from, to) => Math.exp(of.logMass(params, { low: from, high: to }));
  if (dist instanceof Reflected && !dist.grid) {
    const from = Math.max(low, dist.low), to = Math.min(high, dist.high);
    if (!(to > from)) return 0;
    let sum = mass(dist.of, from, to);
    if (Number.isFinite(dist.low)) sum += mass(dist.of, 2 * dist.low - to, 2 * dist.low - from);
    if (Number.isFinite(dist.high)) sum += mass(dist.of, 2 * dist.high - to, 2 * dist.high - from);
    return sum;
  }
  return mass(dist, low, high);
}

/**
 * What could come: {kind: "symbols", items: [{label, p}]}, or {kind: "number", title, bars: [{from, to, p}], points,
 * missing}, or {kind: "labels", items: [{label, p}]}. Under a rule, of symbols, as the rule leaves them. Bars are those
 * of the range of training, or, in a close-up, of the range that has the mass.
 */
export function outlook(one, params, rule, support, value = null, closeUp = false) {
  let { dist } = one, missing = 0, points = [], left = 1;
  const { column } = one;
  if (dist instanceof WithMissing) {
    missing = support?.present ? 0 : sigmoid(params[0]);
    params = params.subarray(1);
    dist = dist.of;
    left -= missing;
  }
  if (dist instanceof WhereActive) dist = dist.of;
  if (dist instanceof Categorical) {
    const p = softmax(truncateLogits(dist.within(params, support), rule));
    const label = code => symbolWord(column, code), items = [];
    p.forEach((x, code) => items.push({ get label() { return label(code); }, p: x, code }));
    return { kind: "symbols", items, missing: 0 };
  }
  if (dist instanceof AutoregressiveBernoulli) {
    const signs = value && !Number.isNaN(value[0]) ? value : dist.mode(params, null), p = dist.conditional(params, signs);
    return { kind: "labels", items: Array.from(p, (x, m) => ({ label: one.field.columns[m], p: x })), missing };
  }
  if (dist instanceof PointMasses) {
    const shares = softmax(params.subarray(0, dist.own));
    points = Array.from(dist.values, (z, k) => ({ at: unitsOf(one, z), p: left * shares[k + 1] }));
    left *= shares[0];
    params = params.subarray(dist.own);
    dist = dist.of;
  }
  const [number, title] = axisOf(one);
  const bars = barsOf(one, number, dist, params, value, closeUp).map(bar => ({ ...bar, p: bar.p * left }));
  return { kind: "number", title, bars, points, missing, cells: bars.cells };
}

function barsOf(one, number, dist, params, value, closeUp) {
  const inside = innermost(dist), known = typeof value === "number" && Number.isFinite(value);
  if (inside instanceof Point) return [{ from: unitsOf(one, params[0]), to: unitsOf(one, params[0]), p: 1 }];
  if (inside instanceof Discretized && (number.high - number.low) / number.step <= MOST_CELLS && !number.cumulative) {
    const values = number.support_points.length ? number.support_points
      : Array.from({ length: Math.round((number.high - number.low) / number.step) + 1 }, (_, k) => number.low + k * number.step);
    const cells = values.map(x => ({ from: x - number.step / 2, to: x + number.step / 2, p: Math.exp(inside.logCellMass(params, x)) }));
    if (!closeUp) return cells;
    const [first, last] = bulkOf(cells, known ? values.findIndex(x => x >= unitsOf(one, value) - number.step / 2) : -1);
    return cells.slice(first, last + 1);
  }
  let [low, high] = zRange(one, number);
  if (known) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const edge = z => (one.column.kind === "angle" ? z * one.column.perRadian : unitsOf(one, z)); // the circle's end is not its start
  const cut = (from, to) => Array.from({ length: BINS }, (_, k) => {
    const [left, right] = [k, k + 1].map(at => from + ((to - from) * at) / BINS);
    return { from: edge(left), to: edge(right), p: massBetween(dist, params, left, right) };
  });
  const all = cut(low, high);
  if (!closeUp || one.column.kind === "angle") return all;
  const wide = (high - low) / BINS, [first, last] = bulkOf(all, known ? Math.min(BINS - 1, Math.floor((value - low) / wide)) : -1);
  return last - first + 1 < CLOSE_UP * BINS ? cut(low + first * wide, low + (last + 1) * wide) : all;
}

/** The first and the last of some bars that have all but the mass of the tails; the bar `at` is among them. */
function bulkOf(bars, at) {
  const least = TAIL * bars.reduce((sum, bar) => sum + bar.p, 0), heavy = bars.map(bar => bar.p > least);
  const [first, last] = [Math.max(0, heavy.indexOf(true)), Math.max(0, heavy.lastIndexOf(true))];
  return at < 0 ? [first, last] : [Math.min(first, at), Math.max(last, at)];
}

/** The z from where to where a number is shown: the range of training, and somewhat more. */
export function zRange({ column }, number) {
  if (column.kind === "angle") return [column.start / column.perRadian, column.start / column.perRadian + 2 * Math.PI];
  if (number.cumulative) return [-4, 4];
  const low = number.toNetwork(number.low), high = number.toNetwork(number.high);
  const from = Number.isFinite(low) ? low : -4, room = 0.08 * (high - from || 1);
  return [number.floor === null ? from - room : from, number.ceiling === null ? high + room : high];
}

/** The decisions by uniforms that led to a value: {title, u, parts: [{label, p}], picked}, or with a `text` alone. */
export function drawsOf(one, { params, uniforms, support }, rule, value) {
  return decisions(one, one.dist, params, uniforms, support, rule, value);
}

function decisions(one, dist, params, uniforms, support, rule, value) {
  const u = uniforms[0], { column } = one;
  const pick = (title, parts) => {
    let upto = 0, picked = parts.length - 1;
    const whole = parts.reduce((sum, part) => sum + part.p, 0) || 1;
    for (let k = 0; k < parts.length; k++) {
      upto += parts[k].p / whole;
      if (upto > u) {
        picked = k;
        break;
      }
    }
    return { title, u, parts: parts.map(part => ({ ...part, p: part.p / whole })), picked };
  };
  if (dist instanceof WithMissing) {
    const p = sigmoid(params[0]), first = pick("Missing or not?", [{ label: "missing", p }, { label: "present", p: 1 - p }]);
    return first.picked === 0 ? [first]
      : [first, ...decisions(one, dist.of, params.subarray(1), uniforms.subarray(1), support, rule, value)];
  }
  if (dist instanceof Categorical) {
    const p = softmax(truncateLogits(dist.within(params, support), rule));
    return [pick("Which symbol?", Array.from(p, (x, code) => ({ label: symbolWord(column, code), p: x })))];
  }
  if (dist instanceof AutoregressiveBernoulli) {
    const shares = dist.conditional(params, value);
    return Array.from(shares, (p, m) => ({
      title: `${one.field.columns[m]}?`, u: uniforms[m + 1], parts: [{ label: "yes", p }, { label: "no", p: 1 - p }],
      picked: value[m] > 0 ? 0 : 1,
    }));
  }
  if (dist instanceof PointMasses) {
    const p = softmax(dist.logits(params, support));
    const parts = [{ label: "another", p: p[0] }, ...Array.from(dist.values, (z, k) => ({ label: numberWord(unitsOf(one, z)), p: p[k + 1] }))];
    const first = pick("A value that repeats?", parts);
    return first.picked ? [first]
      : [first, ...decisions(one, dist.of, params.subarray(dist.own), uniforms.subarray(1), support, rule, value)];
  }
  if (dist.of) return decisions(one, dist.of, dist.shifted ? dist.shifted(params) : params, uniforms, support, rule, value);
  const quantile = (number, of) => ({ title: "Where in it?", u: number, text: `The uniform ${number.toFixed(4)} gives the quantile of ${of} at ${share(number)}` });
  if (dist instanceof Normal) return [quantile(u, "the normal distribution")];
  if (dist instanceof Point) return [{ title: "No choice", text: "This distribution gives its location, and takes no uniform" }];
  if (dist instanceof StudentT) {
    return [{ title: "How far, and which side?", u, text: `Two uniforms, ${u.toFixed(4)} and ${uniforms[1].toFixed(4)}: a radius and an angle (Bailey's polar transform)` }];
  }
  if (dist instanceof Histogram) {
    const p = softmax(params), { edges } = dist, end = z => numberWord(unitsOf(one, z), 3);
    const label = k => (k === 0 ? `below ${end(edges[0])}` : k === edges.length ? `above ${end(edges[k - 1])}` : `${end(edges[k - 1])} to ${end(edges[k])}`);
    return [pick("Which bin?", Array.from(p, (x, k) => ({ label: label(k), p: x }))), quantile(uniforms[1], "the bin")];
  }
  if (dist instanceof Mixture || dist instanceof Discretized || dist instanceof Circular) {
    const [logits, loc] = dist.unpack(params), p = softmax(truncateLogits(logits, rule));
    const name = (label, k) => (k < dist.count ? `the one around ${label}` : `the wide one around ${label}`);
    const parts = Array.from(loc, z => numberWord(unitsOf(one, z), 3)).map((label, k) => ({ label, name: name(label, k), p: p[k] }));
    return [pick("Which component?", parts), quantile(uniforms[1], "that component")];
  }
  return [];
}

/** How far two distributions of one field are apart: Kullback and Leibler's divergence, in nats. */
export function divergence(one, params, others) {
  const p = massesOf(one, params), q = massesOf(one, others);
  let nats = 0;
  for (let k = 0; k < p.length; k++) if (p[k] > 1e-12) nats += p[k] * Math.log(p[k] / Math.max(q[k], 1e-12));
  return nats;
}

/** Probabilities of what could come, side by side. */
export function massesOf(one, params) {
  if (one.dist instanceof Categorical) return softmax(params);
  const found = outlook(one, params, { greedy: false }, null, null);
  if (found.kind === "labels") return found.items.flatMap(({ p }) => [p / found.items.length, (1 - p) / found.items.length]);
  const all = found.kind === "symbols" ? found.items.map(item => item.p)
    : [found.missing, ...found.points.map(point => point.p), ...found.bars.map(bar => bar.p)];
  const whole = all.reduce((sum, x) => sum + x, 0) || 1;
  return all.map(x => x / whole);
}
