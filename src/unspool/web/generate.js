// Sampling: a model reads its own output step by step, as unspool/generation/sample_step.py does, one sequence at a time.

import { Codec } from "./codec.js";
import { readAs } from "./columns.js";
import { readConstraints } from "./constraints.js";
import { Categorical, Point, innermost, reflected, sample } from "./distributions.js";
import { Refused, unsupported } from "./errors.js";
import { clip, fround, logSigmoid, logSumExp, sigmoid } from "./maths.js";
import { Arrays, isObject, readFile } from "./modelfile.js";
import { Network } from "./network.js";
import { uniformsOf } from "./threefry.js";

const CONFIG = {
  format: ["whole"], versions: ["object"], codec: ["object"], network: ["object"], size: ["counted"], embedding: ["counted"],
  training: ["object"], seed: ["seed"], data: ["text"], summary: ["object"], row: ["object", null], arguments: ["object", null],
};
const ROW = { codec: ["object"], size: ["counted"], embedding: ["counted"], nats: ["number"], table: ["text", "dict"] };
const OPTIONS = ["inputs", "n", "first", "row", "seed", "rule", "length", "prefix", "pin", "allow", "trace"];
const RULE = ["greedy", "temperature", "top_k", "top_p", "min_p", "limit"];
const MIN_SURVIVAL = Math.log(0.01), HALF = Math.log(0.5);

/** The model in the bytes of a .unspool file, or of a page with float16; a `Refused` says what is wrong with them. */
export function readModel(data, location = "the model", weights = "F32") {
  const { config, arrays } = readFile(data, location, weights), where = `${location}: configuration`;
  try {
    return modelOf(config, arrays, location, where);
  } catch (error) {
    const resave = "Save the model again, or fetch the file again.";
    // Whatever a forged value breaks, the file is at fault.
    if (!(error instanceof Refused)) throw new Refused(where, "the configuration of a model", error.message, resave);
    if (error.location.startsWith(location)) throw error;
    throw new Refused(`${where}, ${error.location}`, error.expected, error.found, resave);
  }
}

function modelOf(config, arrays, location, where) {
  readAs(CONFIG, config, where);
  const own = new Map(), row = new Map();
  for (const [name, array] of arrays) {
    if (isObject(config.row) && name.startsWith("row.")) row.set(name.slice(4), array);
    else own.set(name, array);
  }
  const codec = new Codec(config.codec, `${where}, codec`);
  const network = new Network(new Arrays(own, location), codec, config.network, config.size, config.embedding);
  if (isObject(config.row)) { // the model of inputs is checked too, and not used
    readAs(ROW, config.row, `${where}, input model`);
    const rows = new Codec(config.row.codec, `${where}, input model`);
    new Network(new Arrays(row, location), rows, {}, config.row.size, config.row.embedding);
  }
  return new Model(config, codec, network);
}

/** The options of sampling, checked; a name is "sample" or "greedy". */
function readRule(rule, fields) {
  if (rule === "sample" || rule === null) rule = {};
  if (rule === "greedy") rule = { greedy: true };
  if (!isObject(rule)) throw unsupported(`the rule ${JSON.stringify(rule)}`);
  for (const name of Object.keys(rule)) {
    if (["width", "length_penalty", "best"].includes(name)) throw unsupported("a beam search");
    if (!RULE.includes(name)) throw new Refused("rule", `options of ${RULE.join(", ")}`, name);
  }
  const share = name => {
    const value = rule[name] ?? null;
    if (value !== null && !(value > 0 && value <= 1)) throw new Refused(name, "a number above 0, at most 1", String(value));
    return value;
  };
  const whole = name => {
    const value = rule[name] ?? null;
    if (value !== null && !(Number.isSafeInteger(value) && value > 0)) throw new Refused(name, "a whole number above 0", String(value));
    return value;
  };
  const { greedy = false, temperature = 1 } = rule;
  if (!(temperature > 0 && temperature <= 100)) throw new Refused("temperature", "a number above 0, at most 100", String(temperature));
  const found = {
    greedy: Boolean(greedy), temperature: temperature === 1 ? null : fround(temperature), top_k: whole("top_k"),
    top_p: share("top_p"), min_p: share("min_p"), limit: whole("limit"),
  };
  if (found.top_k !== null && fields.every(({ dist }) => dist.event.symbols == null)) {
    throw new Refused("top_k", "a field of categories to choose from", "numbers only");
  }
  const random = found.temperature !== null || found.top_p !== null || found.min_p !== null;
  if (random && fields.every(({ dist }) => innermost(dist) instanceof Point)) {
    throw new Refused("rule", "a distribution with a spread", "point distributions only");
  }
  return found;
}

export class Model {
  constructor(config, codec, network) {
    Object.assign(this, { config, codec, network });
  }

  /**
   * Sequences of one input: `n` of them, from sample `first` on, as row `row` of a table in Python has them.
   *
   * Options are those of Python's `generate`: inputs {name: value}, seed, rule ("sample", "greedy" or {temperature, ...}),
   * length, prefix, pin, allow. With `trace`, every step holds all that led to it.
   */
  generate(options = {}) {
    for (const name of Object.keys(options)) {
      if (!OPTIONS.includes(name)) throw new Refused("generate", `one of ${OPTIONS.join(", ")}`, name);
    }
    const { n = 1, first = 0, row = 0, seed = 0, trace = false } = options;
    for (const [name, value] of Object.entries({ n, first, row })) {
      if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** 31) throw new Refused(name, "a whole number", String(value));
    }
    const request = this.request(options);
    return Array.from({ length: n }, (_, k) => this.run(request, uniformsOf(seed, row, first + k), trace));
  }

  /** Everything about a generation that its samples share. */
  request(options) {
    const { codec, network } = this, rule = readRule(options.rule ?? "sample", codec.fields);
    const { encoded, before } = codec.encode(options.inputs);
    let length = options.length ?? null;
    if (length !== null && !(Number.isSafeInteger(length) && length >= 0)) throw new Refused("length", "a whole number", String(length));
    if (length === null && !codec.stops) length = codec.longest;
    // None of training went on past this limit, so a sequence that reaches it has ended by itself.
    const ends = rule.limit === null && codec.limit > 0 && (options.prefix ?? null) === null && (options.pin ?? null) === null;
    const most = length ?? (ends ? codec.limit : rule.limit ?? codec.mostSteps);
    const asked = readConstraints(codec, before, options);
    if (asked.given && asked.given.last >= most) {
      throw new Refused("pin", `steps before ${length === null ? "the limit" : "the length"}, ${most}`, `step ${asked.given.last}`);
    }
    return { rule, encoded, before, most, ends, asked, stopping: Boolean(network.stop) && length === null, phase: network.encode(encoded) };
  }

  run({ rule, encoded, before, most, ends, asked, stopping, phase }, draw, trace) {
    const { network, codec } = this, { fields } = codec, values = fields.map(() => []), steps = [];
    const first = network.valuesBefore(encoded), totals = network.sumsBefore(encoded);
    const state = {
      states: phase.states, fed: network.startFeedback(phase, first, totals), values: first, totals, survival: 0,
      sums: asked.origins.map(origin => (origin && "start" in origin ? fround(origin.start) : null)),
    };
    let ended = ends || !stopping;
    for (let number = 0; number < most; number++) {
      const step = this.step(state, number, draw(number, network.numUniforms), phase, rule, asked, stopping);
      if (trace) steps.push(step);
      if (step.stop) {
        ended = true;
        break;
      }
      step.values.forEach((value, j) => values[j].push(value));
      state.states = step.layers;
      state.fed = step.next;
      state.values = step.values;
      state.totals = step.totals;
    }
    const observed = new Map(), upper = new Map(), length = values[0].length;
    codec.steps.forEach(({ field, column }, k) => {
      if (!asked.given || column.symbols !== null || column.kind === "multilabel") return;
      const { exact } = asked.given.fields[k], wide = (array, empty) =>
        Float64Array.from({ length }, (_, t) => (t < array.length ? array[t] : empty));
      observed.set(field.name, wide(exact, NaN));
      if (asked.given.upper[k]) upper.set(field.name, wide(asked.given.upper[k], Infinity));
    });
    const columns = codec.decode(values, before, observed, upper);
    return { encoded: values, columns, value: codec.show(columns), length, ended, steps, first, phase, request: { encoded } };
  }

  /** By step of known values, and one step more: the top state, the hazard, and the parameters of every field. */
  follow(encoded, values) {
    const { network, codec } = this, phase = network.encode(encoded), length = values[0].length, found = [];
    const first = network.valuesBefore(encoded);
    let totals = network.sumsBefore(encoded), states = phase.states, fed = network.startFeedback(phase, first, totals);
    for (let t = 0; t <= length; t++) {
      const { layers, top } = network.step(fed, states, phase.constants), context = network.begin(top, fed), params = [];
      const own = t < length ? values.map(column => column[t]) : null;
      codec.fields.forEach((_, j) => {
        params.push(network.params(context, j));
        if (own) network.conditionOn(context, j, own, totals);
      });
      found.push({ top, layers, hazard: network.hazard(top, fed, t), params });
      states = layers;
      if (!own) continue;
      totals = network.sumsAfter(own, totals);
      fed = network.feedBack(own, t ? values.map(column => column[t - 1]) : first, totals);
    }
    return found;
  }

  /** One step: the fields in order, and whether the sequence stops before it. */
  step(state, number, uniforms, phase, rule, asked, stopping) {
    const { network, codec } = this, { fed } = state;
    const { layers, top } = network.step(fed, state.states, phase.constants), context = network.begin(top, fed);
    const values = [], chosen = [];
    let nats = 0, moment = null, at = network.stop ? 1 : 0;
    codec.fields.forEach(({ dist, rule: adds, part, field }, j) => {
      const params = network.params(context, j), own = uniforms.subarray(at, at + dist.numUniforms);
      at += dist.numUniforms;
      const given = this.given(asked, j, number, state.sums[j]);
      let support = asked.supports[j], value, shown = null;
      if (adds?.isPart) {
        [value, moment, shown] = samplePart(dist, params, own, rule, support, given, adds, moment);
        state.sums[moment.field] = moment.active ? fround(moment.total) : state.sums[moment.field];
      } else if (adds) {
        const total = state.sums[j], ends = support?.reflects ? support : null;
        if (ends) support = null;
        if (support && given?.upper != null) support = { ...support, high: Math.min(support.high, given.upper) };
        const wanted = given && given.where ? { ...given, value: adds.towards(total, given.value) } : given;
        shown = adds.support(total, support, number);
        value = sampleField(dist, params, own, rule, shown, wanted);
        if (ends && !given?.where) value = withinEnds(dist, value, [ends.low, ends.high].map(end => adds.towards(total, end)), rule);
        state.sums[j] = adds.after(total, value);
        if (adds.parts && Number.isNaN(total) && !Number.isNaN(value)) value = Infinity;
        if (given?.where && !Number.isNaN(given.value)) state.sums[j] = fround(given.value);
        if (adds.parts) moment = { active: value === Infinity, atLow: true, atHigh: true, total: 0, field: j };
      } else {
        shown = given ? conditioned(dist, codec.fields[j].column, support, given) : support;
        value = sampleField(dist, params, own, rule, support, given, codec.fields[j].column);
      }
      if (rule.greedy && dist instanceof Categorical) nats += best(dist.within(params, shown));
      chosen.push({ params, uniforms: own, support: shown, given: Boolean(given?.where === true || given?.where?.some?.(Boolean)), field, part });
      values.push(value);
      network.conditionOn(context, j, values, state.totals);
    });
    const hazard = network.hazard(top, fed, number);
    let stop = false, before = state.survival;
    if (stopping) {
      if (!rule.greedy) stop = uniforms[0] < sigmoid(hazard);
      else {
        state.survival += logSigmoid(-hazard);
        const numbers = codec.fields.some(({ dist }) => dist.event.symbols == null);
        stop = numbers ? state.survival < HALF : hazard > nats || state.survival < MIN_SURVIVAL;
      }
      if (asked.given && number < asked.given.length) {
        stop = false;
        state.survival = before;
      }
    }
    const totals = network.sumsAfter(values, state.totals), next = network.feedBack(values, state.values, totals);
    return { number, fed, layers, top, hazard, stop, uniform: uniforms[0], values, totals, chosen, next };
  }

  /** What is given of a field of the network at a step, as the network sees it; null for nothing. */
  given({ given, origins }, j, number) {
    if (!given || number >= given.length) return null;
    const { field, part } = this.codec.fields[j], k = this.codec.steps.findIndex(step => step.field === field);
    const own = given.fields[k], origin = origins[j], upper = given.upper[k]?.[number] ?? null;
    const sum = y => fround(part ? origin.seen(y) : (y - origin.at) / origin.unit);
    const adds = origin !== null;
    return {
      value: adds ? sum(own.values[number]) : own.values[number], where: own.where[number],
      upper: upper === null ? null : adds ? sum(upper) : upper,
    };
  }
}

function best(logits) {
  return Math.max(...logits) - logSumExp(logits);
}

function single(value) {
  return typeof value === "number" ? fround(value) : value;
}

function conditioned(dist, column, support, given) {
  if (column?.tuples) {
    const whole = given.where.every(Boolean);
    return {
      symbols: column.tuples.map((tuple, s) => tuple.every((code, m) => !given.where[m] || given.value[m] === code)
        && (whole || !support || support.symbols[s])),
    };
  }
  if (dist.event.members) {
    const ends = side => given.where.map((where, m) => (where ? given.value[m] : support ? support[side][m] : side === "low" ? -1 : 1));
    return { low: ends("low"), high: ends("high"), present: given.where.some((where, m) => where && !Number.isNaN(given.value[m])) };
  }
  return support;
}

/** The given value of a field, or else a sample within its support. */
function sampleField(dist, params, uniforms, rule, support, given, column) {
  const within = given ? conditioned(dist, column, support, given) : support;
  let value = sample(dist, params, uniforms, rule, within);
  const { event } = dist;
  if (event.members) {
    return given ? value.map((x, m) => (given.where[m] ? given.value[m] : x)) : value;
  }
  if (event.symbols != null) return given && !column?.tuples && given.where ? given.value : value;
  if (within && !event.angle && !Number.isNaN(value)) value = Math.min(Math.max(value, within.low), within.high);
  return single(given?.where ? given.value : value);
}

/** A number beyond the ends as its reflection, or where the rule is greedy as the end; others as they are. */
function withinEnds(dist, value, [low, high], rule) {
  if (!(value < low || value > high)) return value;
  const grid = gridInside(dist), goal = rule.greedy ? clip(value, low, high) : reflected(value, low, high);
  if (!grid) return fround(goal);
  const { values } = grid.cellsWithin({ low, high });
  return fround(clip(grid.snap(goal), values.low, values.high));
}

function gridInside(dist) {
  return dist.grid ?? (dist.of ? gridInside(dist.of) : null);
}

/** A part of a first moment where it is one: only parts after those of an end are confined to the end's. */
function samplePart(dist, params, uniforms, rule, support, given, part, moment) {
  const low = support?.low ?? -Infinity, upper = given?.upper ?? null;
  const high = upper !== null && Number.isFinite(upper) ? upper : support?.high ?? Infinity;
  const ends = { low: moment.atLow ? low : -Infinity, high: moment.atHigh ? high : Infinity };
  const symbols = dist.event.symbols;
  if (symbols != null) ends.symbols = Array.from({ length: symbols }, (_, s) => s >= ends.low && s <= ends.high);
  const confined = support || upper !== null ? ends : null;
  let value = sampleField(dist, params, uniforms, rule, confined, null);
  if (given?.where) value = Number.isNaN(given.value) ? 0 : given.value;
  const after = {
    ...moment, atLow: moment.atLow && part.isEnd(value, low), atHigh: moment.atHigh && part.isEnd(value, high),
    total: moment.total + part.runningSum(value),
  };
  return [dist.onlyWhere(moment.active, value), after, confined];
}
