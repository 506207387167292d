// The schema with its fitted columns, and the distribution of each: unspool/encoding/codec.py and network/build.py.

import { readAs, readInput, readStep } from "./columns.js";
import {
  AutoregressiveBernoulli, Categorical, Circular, Discretized, Histogram, Mixture, Normal, Point, PointMasses, Reflected,
  StudentT, WhereActive, WithMissing, ZeroMean,
} from "./distributions.js";
import { Refused, listed } from "./errors.js";
import { Grid, SupportPoints } from "./grid.js";
import { fround, roundTo } from "./maths.js";
import { SumFeatures } from "./sums.js";
import { DAY, forward, inverse, parseDate, writeDate } from "./values.js";

const SERIES = ["difference", "log_return"], MONOTONE = ["increment", "decrement"];
const FIELD = {
  kind: [["category", "number", "count", "angle", "vector", "flag", "flags", "joint", "when", "text"]], name: ["name"],
  transform: [["auto", "none", "standardize", "log1p", "asinh", ...SERIES, ...MONOTONE], "auto"],
  distribution: [["auto", "normal", "student_t", "mixture", "discretized", "histogram", "point"], "auto"],
  bounds: ["bounds", null], mean: [["auto", "learned", "constant"], "auto"], above: ["texts", []], below: ["texts", []], near: ["texts", []], running: ["object", null], period: ["positive", 360], members: ["texts", null],
  since: ["text", null], sentinel: ["text", null], unit: [["char", "word", "bpe"], "char"], vocabulary: ["whole", null],
};
const SCHEMA = {
  inputs: ["list"], steps: ["list"], form: [["text", "list", "records", "vectors"]], layout: [["rows", "long"], "rows"], id: ["text", null], order: ["text", null],
  first: ["texts", []], sequence: ["text", "sequence"], relations: ["list", []], columns: ["texts", []],
};
const CODEC = {
  schema: ["object"], inputs: ["list"], steps: ["list"], shortest: ["whole"], longest: ["whole"], examples: ["whole", 0],
  total: ["whole", 0], origins: ["object", {}], limit: ["whole", 0],
  reads_first: ["boolean", false],
};
const RELATION = {
  relation: [["at_most", "equal", "sum", "running", "missing_with"]], adds: ["texts", []], takes: ["texts", []], low: ["text", null], high: ["text", null], column: ["text", null], of: ["text", null],
  total: ["text", null], parts: ["texts", null], decimals: ["whole", null],
};
const LIKENESS = {
  vocabulary: ["category", "flag", "text"], joint: ["joint"], numeric: ["number", "count"], angle: ["angle"],
  increment: ["number", "count", "when"], distance: ["number", "count", "when"], multilabel: ["flags"],
  angle_input: ["angle"], binary: ["flag"], timestamp: ["when"], vector: ["vector"],
};
const ORIGIN = {
  kind: [["plain", "whole", "boolean", "duration", "decimal", "date", "moment", "clock", "zone", "period", "spelled", "uuid", "interval"], "plain"],
  detail: ["text", ""], categories: ["list", null], ordered: ["boolean", false], integer: ["boolean", false],
};
const LEAST_PIECES = { word: 1, bpe: 256 };
export const MOST_STEPS = 2 ** 24;
const NO_INPUT = "(none)", MOST_POSITIONS = 1000;

/** What gives one column of a running total: by name of the others, how it is added; of a part the total is the last. */
function termsOf({ total, adds, takes }, learned, where) {
  const signs = new Map([...adds.map(name => [name, 1]), ...takes.map(name => [name, -1])]), own = signs.get(learned);
  if (total === null || (learned !== total && !own)) throw new Refused(`${where}, running`, "a relation of it", String(total));
  if (learned === total) return signs;
  signs.delete(learned);
  return new Map([...signs].map(([name, sign]) => [name, -own * sign]).concat([[total, own]]));
}

/** One column of the table by itself, or several: the fields of a step as the network has them. */
export class Codec {
  constructor(object, where) {
    Object.assign(this, readAs(CODEC, object, where));
    const schema = readAs(SCHEMA, this.schema, `${where}, schema`);
    const fieldOf = (field, k) => {
      const found = readAs(FIELD, field, `${where}, field ${k}`);
      const { above, below, near } = found, running = found.running && readAs(RELATION, found.running, `${where}, field ${k}, running`);
      const terms = running ? termsOf(running, found.name, `${where}, field ${k}`) : new Map();
      const given = [above, below, near, [...terms.keys()]].filter(names => names.length), carried = running?.total ?? found.name;
      if (given.length > 1 || near.length > 1) throw new Refused(`${where}, field ${k}`, "one of above, below, near, which has one column, and running", listed(given.flat()));
      if (found.kind === "text" && found.vocabulary !== null && !(found.vocabulary >= LEAST_PIECES[found.unit])) {
        throw new Refused(`${where}, field ${k}, vocabulary`, "a size that pieces of texts have", String(found.vocabulary));
      }
      const signs = [...terms.values()], isChange = carried !== found.name;
      return { ...found, columns: found.members ?? [found.name], references: given.flat(), signs, isChange, carried, side: above.length ? 1 : below.length ? -1 : 0 };
    };
    const relation = (one, k) => readAs(RELATION, one, `${where}, relation ${k}`);
    this.schema = { ...schema, relations: schema.relations.map(relation) };
    if (schema.inputs.length !== this.inputs.length || schema.steps.length !== this.steps.length || !this.steps.length) {
      throw new Refused(where, "a column for every field", "another number");
    }
    if (this.shortest > this.longest || this.longest > MOST_STEPS) {
      throw new Refused(where, "lengths from shortest to longest", `${this.shortest} to ${this.longest}`);
    }
    if (this.limit > 2 * MOST_STEPS) throw new Refused(`${where}, limit`, `at most ${2 * MOST_STEPS}`, String(this.limit));
    const least = Math.max(this.examples * this.shortest, this.longest), most = this.examples * this.longest;
    if (this.examples && !(least <= this.total && this.total <= most)) {
      throw new Refused(where, `${least} to ${most} steps in all`, String(this.total));
    }
    this.inputs = this.inputs.map((column, k) => ({
      field: fieldOf(schema.inputs[k], k), column: readInput(column, `${where}, input ${schema.inputs[k]?.name}`),
    }));
    this.steps = this.steps.map((column, k) => ({
      field: fieldOf(schema.steps[k], k), column: readStep(column, `${where}, step ${schema.steps[k]?.name}`),
    }));
    for (const { field, column } of [...this.inputs, ...this.steps]) {
      if (!LIKENESS[column.kind].includes(field.kind)) throw new Refused(where, `a column of a ${field.kind}`, column.kind);
      checkLikeness(field, column, where);
      if (column.kind === "multilabel" && column.names.join("\n") !== field.columns.join("\n")) {
        throw new Refused(where, `the labels ${field.columns.join(", ")}`, column.names.join(", "));
      }
    }
    for (const { field } of this.steps) {
      if (field.kind === "when" && field.since !== null && !this.inputs.some(one => one.field.name === field.since && one.field.kind === "when")) {
        throw new Refused(`${where}, field ${field.name}, since`, "the name of an input that is a date", field.since);
      }
    }
    for (const [name, origin] of Object.entries(this.origins)) readAs(ORIGIN, origin, `${where}, origin of ${name}`);
    const unknown = schema.first.filter(name => !this.inputs.some(({ field }) => field.name === name));
    if (unknown.length) throw new Refused(`${where}, schema, first`, "names of input fields", unknown.join(", "));
    this.stops = this.shortest < this.longest;
    this.positions = this.stops ? Math.min(this.longest, MOST_POSITIONS) + 2 : 0;
    this.isUnconditional = this.inputs.length === 1 && this.inputs[0].field.name === NO_INPUT;
    this.fields = this.steps.flatMap(step => [
      {
        ...step, part: null, dist: distributionOf(step), rule: cumulativeRule(step.column), before: this.valueBefore(step),
        sum: step.column.kind === "increment" ? new SumFeatures(step.column) : null, sumBefore: this.sumBefore(step),
      },
      ...step.column.parts.map(part => ({
        field: step.field, column: part, part: step, before: null, sum: null, sumBefore: null, dist: distributionOf({ field: step.field, column: part }),
        rule: partRule(part, step.column.sumUnit),
      })),
    ]);
    const learned = this.steps.flatMap(step => step.field.columns), earlier = [];
    for (const { field } of this.steps) {
      const late = field.references.filter(name => !earlier.includes(name));
      if (late.length) throw new Refused(`${where}, schema, relations`, `columns of earlier fields for ${JSON.stringify(field.name)}`, late.join(", "));
      earlier.push(...field.columns);
    }
    this.dates = new Set(this.steps.filter(({ column }) => column.isDate).map(({ field }) => field.name));
    for (const one of this.schema.relations) if (one.relation === "equal" && this.dates.has(one.of)) this.dates.add(one.column);
    const all = [...learned];
    for (const one of this.schema.relations) {
      const own = { equal: one.column, sum: one.total }[one.relation];
      const needed = { equal: [one.of], sum: one.parts, missing_with: [one.column, one.of], at_most: [one.low, one.high], running: [one.total, ...one.adds, ...one.takes] }[one.relation];
      if (!needed || needed.some(name => !all.includes(name))) throw new Refused(`${where}, schema, relations`, "columns of a step", needed?.join(", ") ?? "none");
      if (own) all.push(own);
    }
    this.columnNames = schema.columns.length ? schema.columns : learned;
    if (schema.columns.length && [...all].sort().join("\n") !== [...schema.columns].sort().join("\n")) {
      throw new Refused(`${where}, schema, columns`, all.join(", "), schema.columns.join(", "));
    }
  }

  /** Steps after which a sequence that goes on from given ones is cut by default. */
  get mostSteps() {
    return Math.max(2 * this.longest, 1);
  }

  /** How encoded inputs become the value of a step field before step 0; null where none of them is of its kind. */
  valueBefore({ field, column }) {
    const k = this.reads_first && this.schema.first.includes(field.name) ? this.inputs.findIndex(input => input.field.name === field.name) : -1;
    if (k < 0) return null;
    const given = this.inputs[k].column;
    if (column.kind === "vocabulary" && (given.kind === "vocabulary" || given.kind === "binary")) {
      const valueOf = x => (given.kind === "vocabulary" ? given.values[x] : Number.isNaN(x[0]) ? null : x[0] > 0);
      return encoded => column.position.get(valueOf(encoded[k])) ?? column.symbols;
    }
    if (column.kind === "angle" && given.kind === "angle_input" && column.period === given.period) {
      return encoded => Math.atan2(encoded[k][0], encoded[k][1]);
    }
    if (column.kind !== "numeric" || given.kind !== "numeric" || column.cumulative) return null;
    return encoded => {
      const x = inverse(encoded[k][0] * given.scale + given.loc, given.transform, given.unit);
      const legal = column.transform === "log1p" ? Math.max(x, -0.999 * column.unit) : x;
      return (forward(legal, column.transform, column.unit) - column.loc) / column.scale;
    };
  }

  /** How encoded inputs become the running sum of a step field before step 0; null where none of them is of its kind. */
  sumBefore({ field, column }) {
    if (column.kind !== "increment" || !(column.delayed || this.schema.first.includes(field.name))) return null;
    const k = this.inputs.findIndex(input => input.field.name === (column.delayed ? field.since : field.name));
    if (k < 0) return null;
    const given = this.inputs[k].column, isDate = given.kind === "timestamp";
    if ((isDate ? 1 : 0) !== (column.unit ? 1 : 0) || !["timestamp", "numeric"].includes(given.kind)) return null;
    // Months count as long as they are in the mean, and a step reads the nearest one: of a delay, the one begun.
    const whole = column.delayed && column.months ? 0.5 : 0;
    const one = isDate ? DAY : 1, origin = column.toValue(column.origin + whole) / one, scale = (column.sumUnit * (column.unit || column.sign)) / one;
    return encoded => {
      const z = encoded[k][0] * given.scale + given.loc;
      return ((isDate ? z : inverse(z, given.transform, given.unit)) - origin) / scale;
    };
  }

  /** By name of a step field, the input that is its value before step 0. */
  get bases() {
    const kinds = new Map(this.inputs.map(({ field }) => [field.name, field.kind])), found = new Map();
    const numbers = ["number", "count"];
    for (const { field } of this.steps) {
      if (field.references.length && !field.signs.length) continue;
      const same = this.schema.first.includes(field.carried) ? kinds.get(field.carried) : null;
      if ((field.kind === "when" && same === "when") || (numbers.includes(field.kind) && numbers.includes(same))) {
        found.set(field.name, field.carried);
      } else if (field.kind === "when" && field.since) found.set(field.name, field.since);
    }
    return found;
  }

  /** The values of an input, by name, as the network sees them, and the values before step 0. */
  encode(inputs) {
    const given = this.isUnconditional ? { [NO_INPUT]: NO_INPUT } : inputs ?? {};
    const names = this.inputs.map(({ field }) => field.name);
    for (const name of Object.keys(given)) {
      if (!names.includes(name)) throw new Refused("inputs", `one of ${names.join(", ")}`, name);
    }
    const encoded = this.inputs.map(({ field, column }) => {
      if (!Object.hasOwn(given, field.name)) {
        throw new Refused("inputs", `a value of ${JSON.stringify(field.name)}`, "none", "Inputs are drawn in Python only.");
      }
      const found = column.encodeInput(given[field.name], `input ${JSON.stringify(field.name)}`);
      return Array.isArray(found) ? Float64Array.from(found, fround) : found;
    });
    const before = new Map();
    for (const [name, source] of this.bases) {
      const { field } = this.inputs.find(input => input.field.name === source), value = given[source];
      const missing = value === null || value === undefined || value === "" || Number.isNaN(value);
      before.set(name, missing ? NaN : Number(field.kind === "when" ? parseDate(value, source) : value));
    }
    return { encoded, before };
  }

  /** Columns of a sequence by name, from encoded values by field of the network; see `Column.decode`. */
  decode(values, before = new Map(), observed = new Map(), upper = new Map()) {
    const decoded = new Map();
    let at = 0;
    for (const { field, column } of this.steps) {
      const own = values[at], parts = values.slice(at + 1, at + 1 + column.parts.length);
      at += 1 + parts.length;
      const around = {
        before: before.get(field.name) ?? NaN, observed: observed.get(field.name), upper: upper.get(field.name), parts,
        references: field.references.map(name => decoded.get(name)),
      };
      column.decode(own, around).forEach((found, m) => decoded.set(field.columns[m], found));
    }
    for (const one of this.schema.relations) derive(one, decoded);
    for (const { field } of this.steps) {
      if (!field.sentinel) continue;
      const sentinel = parseDate(field.sentinel, "sentinel");
      const names = [field.name, ...this.schema.relations.filter(one => one.of === field.name && one.relation === "equal").map(one => one.column)];
      for (const name of names) decoded.set(name, decoded.get(name).map(value => value ?? sentinel));
    }
    return decoded;
  }

  /** Decoded columns as the user's form of one sequence: text, a list of values, of objects, or of lists; dates as ISO texts. */
  show(decoded) {
    const columns = this.columnNames.map(name => (this.dates.has(name) ? decoded.get(name).map(value => (value === null ? null : writeDate(value))) : decoded.get(name)));
    const count = columns[0].length;
    if (this.schema.form === "text") return columns[0].join("");
    if (this.schema.form === "list") return columns[0];
    return Array.from({ length: count }, (_, t) => (this.schema.form === "vectors" ? columns.map(column => column[t])
      : Object.fromEntries(this.columnNames.map((name, k) => [name, columns[k][t]]))));
  }
}

/** Refuse a column of the right class that is not of its field. */
function checkLikeness(field, column, where) {
  const wrong = expected => {
    throw new Refused(`${where}, ${field.name}`, expected, "another column");
  };
  if (column.kind === "vocabulary") {
    const isText = field.kind === "text", isBytes = isText && field.unit === "bpe";
    if (column.text !== isText || column.bytes !== isBytes || (column.merges.length && !isBytes)) wrong(`symbols of a ${field.kind}`);
    const pieces = isBytes ? new Set([...Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)), ...column.merges.map(pair => pair.join(""))]) : null;
    if (isBytes && (pieces.size !== column.values.length || !column.values.every(value => pieces.has(value)) || !column.merges.flat().every(part => pieces.has(part)))) wrong("all bytes and the pieces of the merges");
    if (isText && field.unit === "char" && column.values.some(value => Array.from(value).length > 1)) wrong("single characters");
  }
  const increments = field.kind === "when" || MONOTONE.includes(field.transform);
  if (column.kind === "numeric" && (increments || field.transform !== column.transform)) wrong(`the transform ${field.transform}`);
  if (column.kind === "increment" && !increments) wrong("a column of increments");
  if (column.kind === "increment" && field.kind !== "when" && (column.unit || column.sign !== (field.transform === "decrement" ? -1 : 1))) wrong("the sign of its transform");
  if (column.kind === "distance" && (column.references.join("\n") !== field.references.join("\n") || column.sign !== field.side || column.signs.join() !== field.signs.join() || column.change !== field.isChange)) wrong("the references of its field");
  if (column.kind === "distance" && column.isDate !== (field.kind === "when")) wrong("a unit of time exactly if they are dates");
  if (["angle", "angle_input"].includes(column.kind) && column.period !== field.period) wrong(`the period ${field.period}`);
}

function derive(one, decoded) {
  if (one.relation === "missing_with") {
    const of = decoded.get(one.of);
    decoded.set(one.column, decoded.get(one.column).map((value, t) => (of[t] === null ? null : value)));
  } else if (one.relation === "equal") decoded.set(one.column, decoded.get(one.of));
  else if (one.relation === "sum") {
    const parts = one.parts.map(name => decoded.get(name));
    decoded.set(one.total, parts[0].map((_, t) => {
      if (parts.some(part => part[t] === null)) return null;
      const total = parts.reduce((sum, part) => sum + part[t], 0);
      return one.decimals === null ? total : roundTo(total, one.decimals);
    }));
  }
}

function distributionOf({ field, column }) {
  switch (column.kind) {
    case "vocabulary": case "joint": return new Categorical(column.symbols, column.unseen);
    case "part": return new WhereActive(
      column.counts ? numberDistribution("discretized", column.counts, false) : new Categorical(column.count));
  }
  let inner;
  if (column.kind === "multilabel") inner = new AutoregressiveBernoulli(column.members);
  else if (column.kind === "angle") inner = circular(column);
  else {
    const number = column.increment ?? column.distance ?? column;
    inner = numberDistribution(field.distribution, number, field.mean === "constant");
    if (column.parts.length) inner = new WhereActive(inner);
  }
  return column.nullable ? new WithMissing(inner) : inner;
}

function numberDistribution(name, column, constantMean) {
  let grid = column.step ? gridOf(column) : null, dist;
  let [low, high] = [column.floor, column.ceiling].map(end => (end === null || column.cumulative ? null : column.toNetwork(end)));
  if (name === "discretized" && grid) {
    const ends = column.cumulative ? [null, null] : [column.floor, column.ceiling];
    dist = new Discretized(grid, ends[0] ?? -Infinity, ends[1] ?? Infinity, supportPoints(column, grid), column.wide);
    if (column.reach === null) [low, high, grid] = [null, null, null];
  } else {
    const masses = column.mass ? grid : null;
    const densities = { normal: Normal, student_t: StudentT, mixture: Mixture, point: Point };
    if (name === "histogram") dist = new Histogram(column.edges, masses);
    else if (Object.hasOwn(densities, name)) dist = new densities[name](column.wide);
    else throw new Refused("distribution", `one of histogram, ${Object.keys(densities).join(", ")}`, name);
  }
  if (column.reach !== null) {
    low = low === null ? column.reach[0] : Math.max(low, column.reach[0]);
    high = high === null ? column.reach[1] : Math.min(high, column.reach[1]);
  }
  if (constantMean) dist = new ZeroMean(dist);
  if (low !== null || high !== null || grid) dist = new Reflected(dist, low ?? -Infinity, high ?? Infinity, grid);
  return column.point_masses.length ? new PointMasses(dist, column.points, column.mass) : dist;
}

function gridOf(column) {
  const tooFine = column.step < 1e-6 * Math.max(column.high - column.low, Math.abs(column.low), Math.abs(column.high));
  if (column.transform === "log_return" || (column.cumulative && !column.mass) || tooFine) return null;
  const axis = ["log1p", "asinh"].includes(column.transform) ? column.transform : "linear";
  return new Grid(axis, column.unit, column.loc, column.scale, column.step);
}

function supportPoints(column, grid) {
  const values = column.support_points;
  if (!values.length) return null;
  const edges = values.slice(1).map((value, k) =>
    (forward((value + values[k]) / 2, column.transform, column.unit) - column.loc) / column.scale);
  return new SupportPoints(grid, values, edges);
}

function circular(column) {
  const grid = column.mass ? new Grid("linear", 1, 0, column.perRadian, column.step) : null;
  const dist = new Circular(column.start / column.perRadian, grid, column.unit ? 4 : 0, column.unit ? 3 : 6, column.unit || 1);
  return column.point_masses.length ? new PointMasses(dist, column.points, column.mass) : dist;
}

/** How the values of a column add up; running sums are float32 in the unit of the column. */
function partRule({ size, counts }, sumUnit) {
  const axis = counts && new Grid(["log1p", "asinh"].includes(counts.transform) ? counts.transform : "linear", counts.unit, counts.loc, counts.scale, 0);
  const one = fround(size / sumUnit), count = value => (axis ? axis.toOriginal(value) : value);
  return {
    isPart: true, runningSum: value => one * count(value),
    isEnd: (value, end) => Number.isFinite(end) && Math.abs(count(value) - count(end)) < 0.5,
  };
}

function cumulativeRule(column) {
  if (!column.cumulative) return null;
  const unit = column.sumUnit, number = column.increment ?? column;
  const logarithmic = column.increment && ["log1p", "asinh"].includes(number.transform);
  const axis = logarithmic ? new Grid(number.transform, 1, number.loc, number.scale, 0) : new Grid("linear", 1, number.loc / unit, 1, 0);
  const first = column.increment ? 1 : fround(number.first_scale / unit);
  const least = column.moves ? fround(number.toNetwork(number.step / 2)) : null;
  return {
    axis, parts: column.parts.length,
    after: (total, z) => (Number.isNaN(z) ? total : fround(Number.isNaN(total) ? first * z : total + axis.toOriginal(z))),
    towards: (total, goal) => (Number.isNaN(total) ? goal / first : axis.toNetwork(goal - total)),
    support(total, support, step) {
      let found = support;
      if (found) {
        let [low, high] = [found.low, found.high].map(end => this.towards(total, end));
        if (this.parts && Number.isNaN(total)) [low, high] = [-Infinity, Infinity];
        found = { ...found, low, high };
      }
      if (least === null) return found;
      const low = step > 0 ? least : -Infinity;
      return found ? { ...found, low: Math.max(found.low, low) } : { low, high: Infinity };
    },
  };
}
