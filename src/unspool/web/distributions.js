// The output distributions of fields, as in unspool/network/distributions: samples are functions of uniforms.
// Parameters are float64 arrays of one field; a support is {low, high, symbols, present}; NaN is a missing number.

import { unsupported } from "./errors.js";
import { Grid } from "./grid.js";
import {
  TINY, addProduct, argmax, betaInc, clip, fround, logGamma, logSigmoid, logSumExp, mod, ndtr, ndtri, sigmoid, softmax,
  softplus,
} from "./maths.js";

export const PLAIN = { greedy: false };
const HALF_LOG_TAU = 0.5 * Math.log(2 * Math.PI), TURN = 2 * Math.PI, LOG_TINY = -70, LOGISTIC_WIDTH = 0.617;
const INVERSE_SOFTPLUS_ONE = Math.log(Math.E - 1), MIN_SCALE = 1e-4;

export function positive(raw) {
  return softplus(raw + INVERSE_SOFTPLUS_ONE) + MIN_SCALE;
}

function truncates(rule) {
  return rule.top_p != null || rule.min_p != null;
}

function withoutTopK(rule) {
  return rule.top_k == null ? rule : { ...rule, top_k: null };
}

/** Logits after temperature, with minus infinity where the rule forbids the symbol. */
export function truncateLogits(logits, rule) {
  const found = rule.temperature == null ? logits : logits.map(x => x / rule.temperature);
  if (rule.min_p == null && rule.top_k == null && rule.top_p == null) return found;
  let floor = -Infinity;
  if (rule.min_p != null) floor = Math.max(...found) + Math.log(rule.min_p);
  if (rule.top_k != null || rule.top_p != null) {
    const ranked = Float64Array.from(found).sort().reverse();
    if (rule.top_k != null) floor = Math.max(floor, ranked[Math.min(rule.top_k, ranked.length) - 1]);
    if (rule.top_p != null) {
      const mass = softmax(ranked);
      let before = 0, last = 0;
      for (let i = 0; i < mass.length && before < rule.top_p; before += mass[i++]) last = i;
      floor = Math.max(floor, ranked[last]);
    }
  }
  return found.map(x => (x >= floor ? x : -Infinity));
}

/** The symbol whose interval of the cumulative distribution holds the uniform. */
export function categoricalIcdf(logits, uniform) {
  const top = logits[argmax(logits)], mass = new Float64Array(logits.length);
  let whole = 0, upto = 0, last = 0;
  for (let i = 0; i < mass.length; i++) whole += mass[i] = Math.exp(logits[i] - top);
  for (let i = 0; i < mass.length; i++) {
    if (!(mass[i] > 0)) continue;
    upto += mass[i];
    last = i;
    if (upto > uniform * whole) return i;
  }
  return last;
}

function centralUniform(uniform, mass) {
  return 0.5 + mass * (uniform - 0.5);
}

/** Where a support lies on the standard axis, mirrored where it is above the centre. */
function standardized(support, loc, scale) {
  const low = (support.low - loc) / scale, high = (support.high - loc) / scale;
  return low > 0 ? { low: -high, high: -low, mirrored: true } : { low, high, mirrored: false };
}

function toNetwork(interval, standard, loc, scale, support) {
  return clip(loc + scale * (interval.mirrored ? -standard : standard), support.low, support.high);
}

/** A uniform between two cumulative probabilities within the central mass; null where nothing lies there. */
function uniformBetween(uniform, low, high, mass = 1) {
  const first = Math.max(low, 0.5 - mass / 2), last = Math.min(high, 0.5 + mass / 2);
  return last > first ? first + uniform * (last - first) : null;
}

/** Whether a number lies in a support, or up to `slack` outside; of angles one may go through the end. */
function holds(support, value, slack = 0, angle = false) {
  const above = value >= support.low - slack, below = value <= support.high + slack;
  return angle && support.low > support.high ? above || below : above && below;
}

/** A number d beyond an end as the one d within, or as the end. */
export function reflected(z, low, high) {
  return clip(Math.min(Math.max(z, 2 * low - z), 2 * high - z), low, high);
}

/** A sample by the rule, within the support; or null for none. */
export function sample(dist, params, uniforms, rule, support) {
  return rule.greedy ? dist.mode(params, support) : dist.draw(params, uniforms, rule, support);
}

export class Categorical {
  numUniforms = 1;

  constructor(count, unseen = 0) {
    Object.assign(this, { count, unseen, numParams: count, event: { symbols: count } });
  }

  within(params, support) {
    return support?.symbols ? params.map((x, i) => (support.symbols[i] ? x : -Infinity)) : params;
  }

  draw(params, uniforms, rule, support) {
    return categoricalIcdf(truncateLogits(this.within(params, support), rule), uniforms[0]);
  }

  mode(params, support) {
    return argmax(this.within(params, support));
  }

  mean(params) {
    return softmax(params);
  }
}

class Location {
  mean(params) {
    return params[0];
  }

  mode(params, support) {
    return support ? clip(params[0], support.low, support.high) : params[0];
  }

  get locations() {
    return [0];
  }
}

function normalLogMass(loc, scale, support) {
  const interval = standardized(support, loc, scale);
  const mass = ndtr(interval.high) - ndtr(interval.low);
  return mass > TINY ? Math.log(mass) : LOG_TINY - 0.5 * interval.high ** 2;
}

function normalLogDensity(value, loc, scale) {
  return -0.5 * ((value - loc) / scale) ** 2 - Math.log(scale) - HALF_LOG_TAU;
}

function normalIcdf(loc, scale, uniform, rule, support) {
  if (rule.temperature != null) scale *= rule.temperature;
  let mass = rule.top_p ?? 1;
  if (rule.min_p != null) mass = Math.min(mass, 2 * ndtr(Math.sqrt(-2 * Math.log(rule.min_p))) - 1);
  if (!support) return loc + scale * ndtri(truncates(rule) ? centralUniform(uniform, mass) : uniform);
  const interval = standardized(support, loc, scale);
  const p = uniformBetween(uniform, ndtr(interval.low), ndtr(interval.high), mass);
  return toNetwork(interval, p === null ? interval.high : ndtri(p), loc, scale, support);
}

export class Normal extends Location {
  numUniforms = 1;
  numParams = 2;
  event = {};

  draw(params, uniforms, rule, support) {
    return normalIcdf(params[0], positive(params[1]), uniforms[0], rule, support);
  }

  logProb(params, value) {
    return normalLogDensity(value, params[0], positive(params[1]));
  }

  logMass(params, support) {
    return normalLogMass(params[0], positive(params[1]), support);
  }
}

export class Point extends Location {
  numUniforms = 0;
  numParams = 1;
  event = {};

  draw(params, uniforms, rule, support) {
    return this.mode(params, support);
  }

  logProb(params, value) {
    return normalLogDensity(value, params[0], 1);
  }

  logMass() {
    return 0;
  }
}

function studentCdf(t, df) {
  const tail = 0.5 * betaInc(df / 2, 0.5, Number.isFinite(t) ? df / (df + t * t) : 0);
  return t < 0 ? tail : 1 - tail;
}

function hill(tail, df) {
  const a = 1 / (df - 0.5), b = 48 / (a * a);
  const c = (((20700 * a) / b - 98) * a - 16) * a + 96.36;
  const d = ((94.5 / (b + c) - 3) / b + 1) * Math.sqrt((a * Math.PI) / 2) * df;
  const y = (2 * d * tail) ** (2 / df), x = ndtri(tail);
  if (y <= 0.05 + a) {
    const far = 1 / (((df + 6) / (df * y) - 0.089 * d - 0.822) * (df + 2) * 3) + 0.5 / (df + 4);
    return Math.sqrt(df * (((far * y - 1) * (df + 1)) / (df + 2) + 1 / y));
  }
  let near = c + (df < 5 ? 0.3 * (df - 4.5) * (x + 0.6) : 0);
  near = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + near;
  const square = x * x;
  near = (((((0.4 * square + 6.3) * square + 36) * square + 94.5) / near - square - 3) / b + 1) * x;
  return Math.sqrt(df * Math.expm1(a * near * near));
}

/** Student's t quantile as Python computes it, which is to 1e-4, below 2.5 degrees to 0.3 %. */
function studentIcdf(p, df) {
  const tail = clip(Math.min(p, 1 - p), 1e-12, 0.5), off = 0.5 - tail, sign = Math.sign(p - 0.5);
  if (df >= 2.5) return sign * hill(tail, df);
  const nodes = [[1, Math.sin(Math.PI * off) / Math.sin(Math.PI * tail)],
    [2, off * Math.sqrt(2 / (tail * (1 - tail)))], [2.5, hill(tail, 2.5)]];
  let level = 0;
  for (const [node, t] of nodes) {
    let weight = 1;
    for (const [other] of nodes) if (other !== node) weight *= Math.log(df / other) / Math.log(node / other);
    level += weight * Math.log(Math.max(0.5 * node * Math.log1p((t * t) / node), TINY));
  }
  return sign * Math.sqrt(df * Math.expm1((Math.exp(level) * 2) / df));
}

export class StudentT extends Location {
  numUniforms = 2;
  numParams = 3;
  event = {};

  unpack(params) {
    return [params[0], positive(params[1]), 1 + Math.exp(clip(params[2] + Math.log(9), -6, 7))];
  }

  draw(params, uniforms, rule, support) {
    let [loc, scale, df] = this.unpack(params), mass = rule.top_p ?? 1;
    if (rule.temperature != null) scale *= rule.temperature;
    if (rule.min_p != null) {
      const square = df * Math.expm1((-2 / (df + 1)) * Math.log(rule.min_p));
      mass = Math.min(mass, 1 - betaInc(df / 2, 0.5, df / (df + square)));
    }
    const [u, v] = uniforms;
    if (support) {
      const interval = standardized(support, loc, scale);
      const p = uniformBetween(u, studentCdf(interval.low, df), studentCdf(interval.high, df), mass);
      return toNetwork(interval, p === null ? interval.high : studentIcdf(p, df), loc, scale, support);
    }
    if (truncates(rule)) return loc + scale * studentIcdf(centralUniform(u, mass), df);
    return loc + scale * Math.sqrt(df * Math.expm1((-2 / df) * Math.log(u))) * Math.cos(2 * Math.PI * v);
  }

  logProb(params, value) {
    const [loc, scale, df] = this.unpack(params), z = (value - loc) / scale;
    const shape = logGamma((df + 1) / 2) - logGamma(df / 2) - 0.5 * Math.log(df * Math.PI);
    return shape - ((df + 1) / 2) * Math.log1p((z * z) / df) - Math.log(scale);
  }

  logMass(params, support) {
    const [loc, scale, df] = this.unpack(params), interval = standardized(support, loc, scale);
    return Math.log(Math.max(studentCdf(interval.high, df) - studentCdf(interval.low, df), TINY));
  }
}

/** A mixture, with a wide component of fixed weight, location and spread after the others; or null for none. */
class Components {
  numUniforms = 2;
  event = {};
  count = 5;
  numParams = 15;

  constructor(wide, width) {
    this.wide = wide && [Math.log(fround(wide[0])), Math.log1p(-fround(wide[0])), fround(wide[1]), fround(wide[2]) * width];
  }

  /** Logits, locations and scales. */
  unpack(params) {
    const K = this.count, logits = params.subarray(0, K), loc = params.subarray(K, 2 * K);
    const scale = params.subarray(2 * K).map(positive);
    if (!this.wide) return [logits, loc, scale];
    const [own, others, at, spread] = this.wide, whole = logSumExp(logits);
    return [Float64Array.of(...logits.map(x => x - whole + others), own), Float64Array.of(...loc, at), Float64Array.of(...scale, spread)];
  }

  get locations() {
    return Array.from({ length: this.count }, (_, k) => this.count + k);
  }
}

export class Mixture extends Components {
  constructor(wide) {
    super(wide, 1);
  }

  draw(params, uniforms, rule, support) {
    let [logits, loc, scale] = this.unpack(params);
    if (support) {
      const heat = rule.temperature ?? 1;
      logits = logits.map((x, k) => x + normalLogMass(loc[k], scale[k] * heat, support));
    }
    const k = categoricalIcdf(truncateLogits(logits, withoutTopK(rule)), uniforms[0]);
    return normalIcdf(loc[k], scale[k], uniforms[1], rule, support);
  }

  mode(params, support) {
    const [logits, loc, scale] = this.unpack(params);
    const z = loc[argmax(logits.map((x, k) => x - Math.log(scale[k])))];
    return support ? clip(z, support.low, support.high) : z;
  }

  mean(params) {
    const loc = params.subarray(this.count, 2 * this.count);
    return softmax(params.subarray(0, this.count)).reduce((sum, share, k) => sum + share * loc[k], 0);
  }

  logProb(params, value) {
    const [logits, loc, scale] = this.unpack(params), whole = logSumExp(logits);
    return logSumExp(logits.map((x, k) => x - whole + normalLogDensity(value, loc[k], scale[k])));
  }

  logMass(params, support) {
    const [logits, loc, scale] = this.unpack(params), whole = logSumExp(logits);
    return logSumExp(logits.map((x, k) => x - whole + normalLogMass(loc[k], scale[k], support)));
  }
}

/** log(F(upper) - F(upper - width)) of the standard logistic. */
function logCell(upper, width) {
  return logSigmoid(upper) + logSigmoid(width - upper) + Math.log(-Math.expm1(-width));
}

function logisticLogMass(loc, scale, support) {
  const interval = standardized(support, loc, scale);
  const width = Math.log(-Math.expm1(-Math.max(interval.high - interval.low, TINY)));
  return logSigmoid(interval.high) + logSigmoid(-interval.low) + width;
}

function logisticCentralMass(rule) {
  const mass = rule.top_p ?? 1;
  return rule.min_p == null ? mass : Math.min(mass, 2 * sigmoid(2 * Math.acosh(1 / Math.sqrt(rule.min_p))) - 1);
}

function logistic(p) {
  return Math.log(p) - Math.log1p(-p);
}

export class Discretized extends Components {
  constructor(grid, low, high, points, wide) {
    super(wide, LOGISTIC_WIDTH);
    Object.assign(this, { grid, low: fround(low), high: fround(high), points });
  }

  draw(params, uniforms, rule, support) {
    let [logits, loc, scale] = this.unpack(params);
    const mass = logisticCentralMass(rule), within = support ? this.cellsWithin(support) : null;
    if (rule.temperature != null) scale = scale.map(x => x * rule.temperature);
    if (within) logits = logits.map((x, k) => x + logisticLogMass(loc[k], scale[k], within.edges));
    const k = categoricalIcdf(truncateLogits(logits, withoutTopK(rule)), uniforms[0]);
    if (!within) {
      return this.snapped(loc[k] + scale[k] * logistic(truncates(rule) ? centralUniform(uniforms[1], mass) : uniforms[1]));
    }
    const interval = standardized(within.edges, loc[k], scale[k]);
    const p = uniformBetween(uniforms[1], sigmoid(interval.low), sigmoid(interval.high), mass);
    const z = toNetwork(interval, p === null ? interval.high : logistic(p), loc[k], scale[k], within.edges);
    return clip(this.snapped(z), within.values.low, within.values.high);
  }

  mode(params, support) {
    const [logits, loc, scale] = this.unpack(params);
    const best = argmax(logits.map((x, k) => {
      const value = clip(this.grid.cell(loc[k]), this.low, this.high);
      const upper = (this.grid.toNetwork(value + this.grid.step / 2) - loc[k]) / scale[k];
      return x + logCell(upper, this.grid.width(value) / scale[k]);
    }));
    const z = this.snapped(loc[best]);
    if (!support) return z;
    const { values } = this.cellsWithin(support);
    return clip(z, values.low, values.high);
  }

  mean(params) {
    const loc = params.subarray(this.count, 2 * this.count);
    const low = this.grid.endToNetwork(this.low), high = this.grid.endToNetwork(this.high);
    return softmax(params.subarray(0, this.count)).reduce((sum, share, k) => sum + share * clip(loc[k], low, high), 0);
  }

  logMass(params, support) {
    const [logits, loc, scale] = this.unpack(params), whole = logSumExp(logits);
    const { edges } = this.cellsWithin(support);
    return logSumExp(logits.map((x, k) => x - whole + logisticLogMass(loc[k], scale[k], edges)));
  }

  /** Log-mass of the cell of a value in original units, by its edges. */
  logCellMass(params, value) {
    const z = this.grid.toNetwork(value);
    return this.logMass(params, { low: z, high: z });
  }

  cellsWithin(support) {
    if (this.points) return this.points.cellsWithin(support);
    const { edges, values } = this.grid.cellsWithin(support), slip = 0.05 * this.grid.step;
    const low = values.low <= this.grid.endToNetwork(this.low + slip) ? -Infinity : edges.low;
    const high = values.high >= this.grid.endToNetwork(this.high - slip) ? Infinity : edges.high;
    return { edges: { ...edges, low, high }, values };
  }

  snapped(z) {
    return this.points ? this.points.snap(z) : this.grid.toNetwork(clip(this.grid.cell(z), this.low, this.high));
  }
}

const INSIDE = 1e-4;

export class Histogram {
  numUniforms = 2;
  event = {};

  constructor(edges, grid) {
    edges = Float64Array.from(edges, fround);
    const tail = 0.1 * (edges[edges.length - 1] - edges[0]);
    const lengths = Float64Array.from({ length: edges.length + 1 },
      (_, k) => (k === 0 || k === edges.length ? tail : edges[k] - edges[k - 1]));
    Object.assign(this, { edges, grid, tail, lengths, numParams: edges.length + 1, last: edges[edges.length - 1] });
  }

  cellsWithin(support) {
    return this.grid ? this.grid.cellsWithin(support) : { edges: support, values: support };
  }

  snap(z) {
    return this.grid ? this.grid.snap(z) : z;
  }

  draw(params, uniforms, rule, support) {
    rule = withoutTopK(rule);
    const share = INSIDE + (1 - 2 * INSIDE) * uniforms[1], { edges, tail, last } = this;
    if (!support) {
      const at = categoricalIcdf(truncateLogits(params, rule), uniforms[0]), far = -tail * Math.log(uniforms[1]);
      if (at === 0) return this.snap(edges[0] - far);
      if (at === edges.length) return this.snap(last + far);
      return this.snap(edges[at - 1] + share * (edges[at] - edges[at - 1]));
    }
    const within = this.cellsWithin(support), { shares, starts, ends } = this.shares(within.edges);
    const at = categoricalIcdf(truncateLogits(params.map((x, k) => x + shares[k]), rule), uniforms[0]);
    const where = starts[at] + share * (ends[at] - starts[at]), far = -tail * Math.log(Math.max(where, TINY));
    let z = at === 0 ? edges[0] - far : at === edges.length ? last + far : where;
    z = this.snap(clip(z, within.edges.low, within.edges.high));
    return clip(z, within.values.low, within.values.high);
  }

  shares({ low, high }) {
    const { edges, tail, last } = this, away = distance => Math.exp(-Math.max(distance, 0) / tail);
    const starts = [away(edges[0] - low)], ends = [away(edges[0] - high)], shares = [ends[0] - starts[0]];
    for (let k = 0; k + 1 < edges.length; k++) {
      starts.push(Math.max(edges[k], low));
      ends.push(Math.min(edges[k + 1], high));
      shares.push(Math.max(ends[k + 1] - starts[k + 1], 0) / (edges[k + 1] - edges[k]));
    }
    starts.push(away(high - last));
    ends.push(away(low - last));
    shares.push(ends[edges.length] - starts[edges.length]);
    return { shares: shares.map(x => Math.log(Math.max(x, TINY))), starts, ends };
  }

  middles() {
    return this.lengths.map((_, k) => k === 0 ? this.edges[0] : k === this.edges.length ? this.last
      : (this.edges[k] + this.edges[k - 1]) / 2);
  }

  mode(params, support) {
    const z = this.snap(this.middles()[argmax(params.map((x, k) => x - Math.log(this.lengths[k])))]);
    if (!support) return z;
    const { values } = this.cellsWithin(support);
    return clip(z, values.low, values.high);
  }

  mean(params) {
    const middles = this.middles();
    middles[0] -= this.tail;
    middles[middles.length - 1] += this.tail;
    return softmax(params).reduce((sum, share, k) => sum + share * middles[k], 0);
  }

  logMass(params, support) {
    const { shares } = this.shares(this.cellsWithin(support).edges), whole = logSumExp(params);
    return logSumExp(params.map((x, k) => x - whole + shares[k]));
  }

  logProb(params, value) {
    const at = searchEdges(this.edges, value), whole = logSumExp(params);
    const beyond = Math.max(this.edges[0] - value, value - this.last, 0);
    return params[at] - whole - Math.log(this.lengths[at]) - beyond / this.tail;
  }
}

function searchEdges(edges, value) {
  let at = 0;
  while (at < edges.length && value >= edges[at]) at++;
  return at;
}

const TURNS = [-3, -2, -1, 0, 1, 2, 3].map(turn => turn * TURN);

export class Circular {
  numUniforms = 2;
  event = { angle: true };

  constructor(low, grid, following, free, unit) {
    const count = following + free;
    low = fround(low);
    unit = fround(unit);
    Object.assign(this, { low, grid, following, free, unit, count, numParams: 3 * count });
    this.cell = grid ? grid.step / grid.scale : 0;
    this.start = low - this.cell / 2;
  }

  unitOf(k) {
    return k < this.following ? this.unit : 1;
  }

  unpack(params) {
    const K = this.count;
    return [params.subarray(0, K), params.subarray(K, 2 * K).map((x, k) => this.wrapped(x * this.unitOf(k))),
      params.subarray(2 * K).map((x, k) => positive(x) * this.unitOf(k))];
  }

  wrapped(z) {
    return z - TURN * Math.floor((z - this.low) / TURN);
  }

  within(support) {
    if (!support) return [{ low: this.start, high: this.start + TURN }, null];
    const onward = { ...support, high: support.high < support.low ? support.high + TURN : support.high };
    if (!this.grid) return [onward, support];
    const { edges, values } = this.grid.cellsWithin(onward);
    return [edges, values];
  }

  /** (K * turns) log-masses and ends of a part of the circle. */
  copies(loc, scale, edges, radius) {
    const mass = [], low = [], high = [];
    for (let k = 0; k < this.count; k++) {
      for (const turn of TURNS) {
        const from = Math.max(edges.low + turn, loc[k] - radius[k]), to = Math.min(edges.high + turn, loc[k] + radius[k]);
        low.push(from);
        high.push(to);
        mass.push(to >= from ? logisticLogMass(loc[k], scale[k], { low: from, high: to }) : -Infinity);
      }
    }
    return { mass, low, high };
  }

  draw(params, uniforms, rule, support) {
    let [logits, loc, scale] = this.unpack(params);
    if (rule.temperature != null) scale = scale.map(x => x * rule.temperature);
    const central = logisticCentralMass(rule), [edges, values] = this.within(support);
    logits = truncateLogits(logits, withoutTopK(rule));
    const logitOf = at => logits[Math.floor(at / TURNS.length)];
    let parts = this.copies(loc, scale, edges, scale.map(() => Infinity));
    if (truncates(rule)) {
      const kept = this.copies(loc, scale, edges, scale.map(s => s * Math.log((1 + central) / (1 - central))));
      if (kept.mass.some((x, at) => Number.isFinite(x + logitOf(at)))) parts = kept;
    }
    const chosen = categoricalIcdf(parts.mass.map((x, at) => x + logitOf(at)), uniforms[0]);
    const k = Math.floor(chosen / TURNS.length), part = { low: parts.low[chosen], high: parts.high[chosen] };
    const interval = standardized(part, loc[k], scale[k]);
    const p = uniformBetween(uniforms[1], sigmoid(interval.low), sigmoid(interval.high));
    const standard = p === null ? interval.high : logistic(p);
    return this.finished(toNetwork(interval, standard, loc[k], scale[k], part) - TURNS[chosen % TURNS.length], values);
  }

  mode(params, support) {
    const [logits, loc, scale] = this.unpack(params);
    if (!support) return this.finished(loc[argmax(logits.map((x, k) => x - Math.log(scale[k])))], null);
    const [edges, values] = this.within(support), parts = this.copies(loc, scale, edges, scale.map(() => Infinity));
    const chosen = argmax(parts.mass.map((x, at) => x + logits[Math.floor(at / TURNS.length)]));
    const z = clip(loc[Math.floor(chosen / TURNS.length)], parts.low[chosen], parts.high[chosen]);
    return this.finished(z - TURNS[chosen % TURNS.length], values);
  }

  mean(params) {
    const [logits, loc, scale] = this.unpack(params), share = softmax(logits);
    let sine = 0, cosine = 0;
    for (let k = 0; k < this.count; k++) {
      const spread = Math.min(Math.PI * scale[k], 50), length = (share[k] * spread) / Math.sinh(spread);
      sine += length * Math.sin(loc[k]);
      cosine += length * Math.cos(loc[k]);
    }
    return this.wrapped(Math.atan2(sine, cosine));
  }

  logMass(params, support) {
    const [logits, loc, scale] = this.unpack(params), whole = logSumExp(logits);
    const parts = this.copies(loc, scale, this.within(support)[0], scale.map(() => Infinity));
    return logSumExp(Array.from(logits, (x, k) => {
      const first = -Math.PI + (this.grid ? mod(Math.PI - loc[k], this.cell) - this.cell / 2 : 0) + TURNS[0];
      const all = logisticLogMass(0, scale[k], { low: first, high: first + TURN * TURNS.length });
      return x - whole + logSumExp(parts.mass.slice(k * TURNS.length, (k + 1) * TURNS.length)) - all;
    }));
  }

  logProb(params, value) {
    const width = this.cell || 1e-3;
    return this.logMass(params, { low: value - width / 2, high: value + width / 2 }) - Math.log(width);
  }

  finished(z, values) {
    z = this.wrapped(z);
    if (!this.grid) {
      if (!values || holds(values, z, 0, true)) return z;
      return this.wrapped(mod(z - values.high, TURN) < mod(values.low - z, TURN) ? values.high : values.low);
    }
    if (values) {
      const turns = Math.round((z - (values.low + values.high) / 2) / TURN);
      z = clip(z - TURN * turns, values.low, values.high);
    }
    z = this.grid.snap(z);
    return z - TURN * Math.floor((z - this.start) / TURN);
  }
}

export class PointMasses {
  constructor(of, values, mass) {
    values = Float64Array.from(values, fround);
    Object.assign(this, { of, values, mass, numUniforms: 1 + of.numUniforms, event: of.event });
    this.own = 1 + values.length;
    this.numParams = this.own + of.numParams;
  }

  logits(params, support) {
    const logits = params.slice(0, this.own);
    if (!support) return logits;
    logits[0] += this.of.logMass(params.subarray(this.own), support);
    this.values.forEach((point, k) => {
      const slack = 2e-6 * (1 + Math.abs(point));
      if (!holds(support, point, slack, this.event.angle)) logits[k + 1] = -Infinity;
    });
    return logits;
  }

  draw(params, uniforms, rule, support) {
    const rest = sample(this.of, params.subarray(this.own), uniforms.subarray(1), rule, support);
    const which = categoricalIcdf(truncateLogits(this.logits(params, support), withoutTopK(rule)), uniforms[0]);
    return which === 0 ? rest : this.values[which - 1];
  }

  mode(params, support) {
    const which = argmax(this.logits(params, support));
    return which === 0 ? this.of.mode(params.subarray(this.own), support) : this.values[which - 1];
  }

  mean(params) {
    const share = softmax(params.subarray(0, this.own));
    return this.values.reduce((sum, value, k) => sum + share[k + 1] * value, share[0] * this.of.mean(params.subarray(this.own)));
  }

  logMass(params, support) {
    return logSumExp(this.logits(params, support)) - logSumExp(params.subarray(0, this.own));
  }
}

export class Reflected {
  constructor(of, low, high, grid) {
    Object.assign(this, { of, low: fround(low), high: fround(high), grid, numParams: of.numParams });
    Object.assign(this, { numUniforms: of.numUniforms, event: of.event });
  }

  within(support) {
    const own = { ...support, low: Math.max(support.low, this.low), high: Math.min(support.high, this.high) };
    return this.grid ? this.grid.cellsWithin(own) : { edges: own, values: own };
  }

  snap(z) {
    return this.grid ? this.grid.snap(z) : z;
  }

  rounded(z) {
    return clip(this.snap(clip(z, this.low, this.high)), this.low, this.high);
  }

  draw(params, uniforms, rule, support) {
    if (support) {
      const { edges, values } = this.within(support);
      return clip(this.snap(sample(this.of, params, uniforms, rule, edges)), values.low, values.high);
    }
    return this.rounded(reflected(sample(this.of, params, uniforms, rule, null), this.low, this.high));
  }

  mode(params, support) {
    if (!support) return this.rounded(this.of.mode(params, null));
    const { edges, values } = this.within(support);
    return clip(this.snap(this.of.mode(params, edges)), values.low, values.high);
  }

  mean(params) {
    return clip(this.of.mean(params), this.low, this.high);
  }

  logMass(params, support) {
    return this.of.logMass(params, this.within(support).edges);
  }

  logProb(params, value) {
    return this.of.logProb(params, value);
  }

  get locations() {
    return this.of.locations;
  }
}

/** A distribution with a location, shifted so that its mean is zero. */
export class ZeroMean {
  constructor(of) {
    Object.assign(this, { of, numParams: of.numParams, numUniforms: of.numUniforms, event: of.event });
  }

  shifted(params) {
    const moved = params.slice(), mean = this.of.mean(params);
    for (const k of this.of.locations) moved[k] -= mean;
    return moved;
  }

  draw(params, uniforms, rule, support) {
    return sample(this.of, this.shifted(params), uniforms, rule, support);
  }

  mode(params, support) {
    return this.of.mode(this.shifted(params), support);
  }

  mean(params) {
    return this.of.mean(this.shifted(params));
  }

  logMass(params, support) {
    return this.of.logMass(this.shifted(params), support);
  }

  logProb(params, value) {
    return this.of.logProb(this.shifted(params), value);
  }
}

export class WithMissing {
  constructor(of) {
    Object.assign(this, { of, numParams: 1 + of.numParams, numUniforms: 1 + of.numUniforms, event: of.event });
  }

  missing(present, support) {
    return support?.present ? present : this.event.members ? Float64Array.from(present, () => NaN) : NaN;
  }

  draw(params, uniforms, rule, support) {
    const present = sample(this.of, params.subarray(1), uniforms.subarray(1), rule, support);
    return categoricalIcdf([params[0], 0], uniforms[0]) === 0 ? this.missing(present, support) : present;
  }

  mode(params, support) {
    const present = this.of.mode(params.subarray(1), support);
    return params[0] > 0 ? this.missing(present, support) : present;
  }

  mean(params) {
    return this.of.mean(params.subarray(1));
  }
}

/** A field that has a value at some steps only: infinity, or the symbol V, elsewhere. */
export class WhereActive {
  constructor(of) {
    Object.assign(this, { of, numParams: of.numParams, numUniforms: of.numUniforms, event: of.event });
  }

  onlyWhere(active, value) {
    return active ? value : this.event.symbols ?? Infinity;
  }

  draw(params, uniforms, rule, support) {
    return sample(this.of, params, uniforms, rule, support);
  }

  mode(params, support) {
    return this.of.mode(params, support);
  }

  mean(params) {
    return this.of.mean(params);
  }
}

const MOST_ENUMERATED = 8;

/** M labels, each a Bernoulli given those before it (MADE with direct connections). */
export class AutoregressiveBernoulli {
  constructor(count) {
    this.units = Math.max(4, Math.ceil(32 / count));
    Object.assign(this, { count, numUniforms: 1 + count, numParams: count * (1 + this.units), event: { members: count } });
  }

  /** The weights (M, M), (M, N) and (N, M), of which those from later members don't count. */
  bind(A, W, V) {
    Object.assign(this, { A, W, V });
  }

  /** The value whose members `choose(m, logit)` gives one by one. */
  inTurn(params, choose) {
    const M = this.count, g = this.units, N = M * g, value = new Float64Array(M), units = new Float64Array(N);
    for (let m = 0; m < M; m++) {
      let logit = params[m];
      for (let k = 0; k < m; k++) logit += value[k] * this.A[k * M + m];
      for (let n = 0; n < m * g; n++) logit += units[n] * this.V[n * M + m];
      value[m] = choose(m, logit);
      for (let n = m * g; n < (m + 1) * g; n++) {
        let inner = params[M + n];
        for (let k = 0; k <= m; k++) inner += value[k] * this.W[k * N + n];
        units[n] = Math.tanh(inner);
      }
    }
    return value;
  }

  known(support) {
    if (!support) return new Float64Array(this.count);
    return Float64Array.from({ length: this.count }, (_, m) => (support.low[m] > 0) - (support.high[m] < 0));
  }

  yes(logit, rule) {
    const [yes, no] = truncateLogits([logit, 0], rule);
    return sigmoid(yes - no);
  }

  draw(params, uniforms, rule, support) {
    rule = withoutTopK(rule);
    const known = this.known(support), first = known.indexOf(0);
    if (support && first >= 0 && known.subarray(first).some(x => x !== 0)) {
      if (this.count > MOST_ENUMERATED) throw unsupported("known labels after open ones, in a block of more than eight");
      return this.all()[categoricalIcdf(this.logProbsOfAll(params, known, rule), uniforms[0])];
    }
    return this.inTurn(params, (m, logit) => known[m] || (uniforms[m + 1] < this.yes(logit, rule) ? 1 : -1));
  }

  mode(params, support) {
    const known = this.known(support);
    if (this.count > MOST_ENUMERATED) return this.inTurn(params, (m, logit) => known[m] || (logit > 0 ? 1 : -1));
    return this.all()[argmax(this.logProbsOfAll(params, known, PLAIN))];
  }

  /** All 2^M values, the last member changing first. */
  all() {
    return Array.from({ length: 2 ** this.count }, (_, code) =>
      Float64Array.from({ length: this.count }, (_, m) => ((code >> (this.count - 1 - m)) & 1 ? 1 : -1)));
  }

  logProbsOfAll(params, known, rule) {
    return this.all().map(value => {
      let nats = 0;
      this.inTurn(params, (m, logit) => {
        if (known[m] * value[m] < 0) nats = -Infinity;
        if (known[m] !== 0) nats += logSigmoid(value[m] * logit);
        else {
          const [yes, no] = truncateLogits([logit, 0], rule);
          nats += (value[m] > 0 ? yes : no) - logSumExp([yes, no]);
        }
        return value[m];
      });
      return nats;
    });
  }

  /** The probability of yes of every member, given those before it in a value. */
  conditional(params, value) {
    const shares = new Float64Array(this.count);
    this.inTurn(params, (m, logit) => {
      shares[m] = sigmoid(logit);
      return value[m];
    });
    return shares;
  }
}

/** The distribution inside of all wrappers. */
export function innermost(dist) {
  return dist.of ? innermost(dist.of) : dist;
}

export { Grid, addProduct };
