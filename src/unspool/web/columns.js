// Fitted columns: between the values of a user and what the network sees, as in unspool/encoding.
// A decoded column is an array with null where a value is missing; dates are BigInt microseconds since 1970.

import { Refused, listed } from "./errors.js";
import { clip, fround, mod, rint, roundTo } from "./maths.js";
import { isObject } from "./modelfile.js";
import { Months } from "./months.js";
import { DAY, EARLIEST, LATEST, forward, inverse, isLegal, parseDate } from "./values.js";

const MOST_UNITS = 8192, MOST_LAYERS = 16;

const CHECKS = {
  number: value => Number.isFinite(value),
  probability: value => Number.isFinite(value) && value >= 0 && value <= 1,
  notnegative: value => Number.isFinite(value) && value >= 0,
  positive: value => Number.isFinite(value) && value > 0,
  whole: value => Number.isSafeInteger(value) && value >= 0,
  boolean: value => typeof value === "boolean",
  text: value => typeof value === "string",
  list: value => Array.isArray(value),
  numbers: value => Array.isArray(value) && value.every(Number.isFinite),
  name: value => typeof value === "string" && value !== "",
  digits: value => CHECKS.whole(value) && value <= 6,
  texts: value => Array.isArray(value) && value.every(part => typeof part === "string"),
  pair: value => CHECKS.numbers(value) && value.length === 2,
  distances: value => CHECKS.pair(value) && value.every(part => part >= 0),
  component: value => CHECKS.numbers(value) && value.length === 3 && value[0] > 0 && value[0] < 1 && value[2] > 0,
  pairs: value => Array.isArray(value) && value.every(part => CHECKS.texts(part) && part.length === 2),
  share: value => Number.isFinite(value) && value >= 0 && value < 1,
  sign: value => value === 1 || value === -1,
  seed: value => (typeof value === "bigint" ? value >= 0n && value < 2n ** 64n : Number.isSafeInteger(value) && value >= 0),
  counted: value => Number.isSafeInteger(value) && value > 0 && value <= MOST_UNITS,
  layers: value => Number.isSafeInteger(value) && value > 0 && value <= MOST_LAYERS,
  bounds: value => ["auto", "data"].includes(value)
    || (Array.isArray(value) && value.length === 2 && value.every(end => end === null || Number.isFinite(end))
      && (value.includes(null) || value[0] < value[1])),
  object: isObject,
};

const LONGEST_WRITTEN = 80;

function written(value) {
  const text = typeof value === "bigint" ? String(value) : JSON.stringify(value) ?? "nothing";
  return text.length > LONGEST_WRITTEN ? text.slice(0, LONGEST_WRITTEN) + "…" : text;
}

/** The object with the keys of `{name: [check, default]}`, where a check may be a list of values; a `Refused` for others. */
export function readAs(specification, object, where) {
  if (!isObject(object)) throw new Refused(where, "an object", JSON.stringify(object) ?? "nothing");
  const found = {};
  for (const name of Object.keys(object)) {
    if (!Object.hasOwn(specification, name)) throw new Refused(where, `one of ${Object.keys(specification).join(", ")}`, name);
  }
  for (const [name, [check, ...preset]] of Object.entries(specification)) {
    const value = Object.hasOwn(object, name) ? object[name] : preset[0];
    const open = value === null && preset.length > 0 && preset[0] === null;
    const good = Array.isArray(check) ? check.includes(value) : value !== undefined && CHECKS[check](value);
    if (!open && !good) {
      throw new Refused(`${where}, ${name}`, Array.isArray(check) ? `one of ${check.join(", ")}` : `a ${check}`, written(value));
    }
    found[name] = value;
  }
  return found;
}

const isMissing = value => value === null || value === undefined || (typeof value === "number" && Number.isNaN(value));
const orNull = value => (Number.isNaN(value) ? null : value);

class Column {
  constructor(object, where) {
    const found = readAs({ kind: [[this.constructor.tag]], ...this.constructor.keys }, object, where);
    for (const [name, own] of Object.entries(this.constructor.renamed ?? {})) {
      found[own] = found[name];
      delete found[name];
    }
    Object.assign(this, found);
  }

  /** A value, or an error if it is missing where none of training was. */
  present(value, location) {
    if (!isMissing(value)) return true;
    if (!this.nullable) {
      throw new Refused(location, "a value, because none was missing in training", "a missing one");
    }
    return false;
  }

  number(value, location) {
    if (!this.present(value, location)) return NaN;
    const found = typeof value === "string" && value.trim() === "" ? NaN : Number(value);
    if (typeof value === "boolean" || !Number.isFinite(found)) throw new Refused(location, "a number", JSON.stringify(value));
    return found;
  }

  get symbols() {
    return null;
  }

  get members() {
    return 1;
  }

  get parts() {
    return [];
  }
}

export class Vocabulary extends Column {
  static tag = "vocabulary";
  static keys = { values: ["list"], unseen: ["probability", 0], text: ["boolean", false], bytes: ["boolean", false], merges: ["pairs", []] };

  constructor(object, where) {
    super(object, where);
    const known = value => value === null || ["string", "number", "boolean", "bigint"].includes(typeof value);
    if (!this.values.length || !this.values.every(known)) throw new Refused(where, "values, at least one", listed(this.values));
    if (this.text && !this.values.every(value => typeof value === "string" && value)) throw new Refused(where, "pieces of text", listed(this.values));
    this.position = new Map(this.values.map((value, k) => [value, k]));
    if (this.position.size < this.values.length) throw new Refused(where, "no value twice", listed(this.values));
  }

  get symbols() {
    return this.values.length;
  }

  get nullable() {
    return this.position.has(null);
  }

  /** The symbol of a value. */
  code(value, location) {
    const found = this.position.get(isMissing(value) ? null : value);
    if (found !== undefined) return found;
    this.present(value, location);
    throw new Refused(location, `one of the ${this.values.length} values that training saw: ${listed(this.values)}`,
      typeof value === "string" ? JSON.stringify(value) : String(value));
  }

  encodeInput(value, location) {
    return this.code(value, location);
  }

  lookup(code) {
    const missing = this.text ? "\ufffd" : null;
    return code < this.values.length ? this.values[code] : missing;
  }

  decode(encoded) {
    if (!this.bytes) return [Array.from(encoded, code => this.lookup(code))];
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const bytes = code => Uint8Array.from(this.values[code], sign => sign.charCodeAt(0));
    return [Array.from(encoded, code => decoder.decode(bytes(code), { stream: true }))];
  }

  /** What a symbol is called: of a piece of bytes, the text if it is one. */
  name(code) {
    if (!this.bytes) return this.lookup(code);
    return new TextDecoder().decode(Uint8Array.from(this.values[code], sign => sign.charCodeAt(0)));
  }
}

export class JointVocabulary extends Column {
  static tag = "joint";
  static keys = { members: ["list"], tuples: ["list"], unseen: ["probability"] };
  static renamed = { members: "vocabularies" };

  constructor(object, where) {
    super(object, where);
    this.vocabularies = this.vocabularies.map((member, k) => new Vocabulary(member, `${where}, member ${k}`));
    const valid = codes => Array.isArray(codes) && codes.length === this.vocabularies.length
      && codes.every((code, m) => CHECKS.whole(code) && code < this.vocabularies[m].symbols);
    const different = new Set(this.tuples.map(String)).size === this.tuples.length;
    if (this.vocabularies.length < 2 || !this.tuples.length || !this.tuples.every(valid) || !different) {
      throw new Refused(where, "tuples of symbols of its members, none twice", "others");
    }
  }

  get symbols() {
    return this.tuples.length;
  }

  get nullable() {
    return this.vocabularies.some(member => member.nullable);
  }

  decode(encoded) {
    return this.vocabularies.map((member, m) => Array.from(encoded, code => member.lookup(this.tuples[code][m])));
  }

  name(code) {
    return this.tuples[code].map((part, m) => this.vocabularies[m].lookup(part) ?? "missing").join(" / ");
  }
}

const DIFFERENCES = ["difference", "log_return"];

export class NumericEncoder extends Column {
  static tag = "numeric";
  static keys = {
    transform: [["none", "standardize", "log1p", "asinh", ...DIFFERENCES]], loc: ["number"], scale: ["positive"], first_loc: ["number", 0], first_scale: ["positive", 1],
    decimals: ["digits", null], nullable: ["boolean", false], unit: ["positive", 1], low: ["number", 0], high: ["number", 0],
    missing: ["probability", 0], step: ["notnegative", 0], mass: ["boolean", false], point_masses: ["numbers", []],
    floor: ["number", null], ceiling: ["number", null], edges: ["numbers", []], support_points: ["numbers", []],
    unseen: ["probability", 0], reach: ["pair", null], ends: ["pair", null], wide: ["component", null], excursions: ["distances", [0, 0]],
  };

  constructor(object, where) {
    super(object, where);
    for (const name of ["edges", "support_points"]) {
      if (this[name].some((value, k) => k && value <= this[name][k - 1])) throw new Refused(`${where}, ${name}`, "rising numbers", "others");
    }
    const ends = [this.floor, this.low, this.high, this.ceiling].filter(end => end !== null);
    if (ends.some((end, k) => k && end < ends[k - 1])) throw new Refused(`${where}, range`, "rising: floor, low, high, ceiling", listed(ends));
    const [least, most] = this.ends ?? [1, 2];
    if (!(least <= most) || (this.transform === "log_return" && least <= 0)) {
      throw new Refused(`${where}, ends`, "rising numbers, of log-returns above 0", listed([least, most]));
    }
    const { support_points: few, unseen, step } = this;
    if (few.length && !(few.length > 1 && unseen > 0 && unseen < 1 && step > 0)) {
      throw new Refused(`${where}, support points`, "two or more, of a grid, and a probability of others", String(unseen));
    }
    this.cumulative = DIFFERENCES.includes(this.transform);
    this.points = this.point_masses.map(value =>
      ((this.cumulative ? value : forward(value, this.transform, this.unit)) - this.loc) / this.scale);
  }

  encodeInput(value, location) {
    return [this.z(this.number(value, location), location)];
  }

  z(x, location) {
    if (Number.isNaN(x)) return x;
    this.check(x, location);
    return (forward(x, this.transform, this.unit) - this.loc) / this.scale;
  }

  check(x, location) {
    if (!isLegal(x, this.transform, this.unit)) {
      const limit = this.transform === "log_return" ? "above 0" : `above ${-this.unit}`;
      throw new Refused(location, `a number ${limit}, for ${this.transform}`, String(x));
    }
  }

  /** Z of a bound; minus infinity where it is too small for the transform. */
  toNetwork(x) {
    if (!isLegal(x, this.transform, this.unit)) return -Infinity;
    return (forward(x, this.transform, this.unit) - this.loc) / this.scale;
  }

  exact(x, z) {
    this.points.forEach((point, k) => {
      if (Math.abs(z - point) <= 2e-6 * (1 + Math.abs(point))) x = this.point_masses[k];
    });
    return x;
  }

  finished(x) {
    if (this.step) {
      const nearest = rint(x / this.step) * this.step + 0;
      const slack = Math.min(2e-6 * Math.max(Math.abs(x), this.high - this.low), 0.2 * this.step);
      if (Math.abs(x - nearest) <= slack) x = nearest;
    }
    const slack = 1e-5 * Math.max(this.high - this.low, Math.abs(this.low), Math.abs(this.high));
    if (this.floor !== null && x < this.floor && x > this.floor - slack) x = this.floor;
    if (this.ceiling !== null && x > this.ceiling && x < this.ceiling + slack) x = this.ceiling;
    return x;
  }

  /** The value of one z that doesn't add up, in original units, not rounded. */
  valueOf(z) {
    return this.finished(this.exact(inverse(z * this.scale + this.loc, this.transform, this.unit), z));
  }

  decode(encoded, around) {
    let total = this.cumulative ? this.start(around.before) : NaN;
    const known = k => around.observed && !Number.isNaN(around.observed[k]);
    return [Array.from(encoded, (z, k) => {
      let x = NaN;
      if (!Number.isNaN(z)) {
        if (!this.cumulative) x = this.valueOf(z);
        else {
          const step = this.exact(z * this.scale + this.loc, z);
          if (known(k)) total = forward(around.observed[k], this.transform, this.unit);
          else total = Number.isNaN(total) ? z * this.first_scale + this.first_loc : total + step;
          x = inverse(total, this.transform, this.unit);
          if (this.floor !== null) x = Math.max(x, this.floor);
          if (this.ceiling !== null) x = Math.min(x, this.ceiling);
          x = this.finished(x);
        }
      }
      if (known(k)) x = around.observed[k];
      return orNull(this.decimals === null ? x : roundTo(x, this.decimals));
    })];
  }

  get sumUnit() {
    return this.scale;
  }

  get never() {
    return null;
  }

  /** Where the running sum of a sequence starts. */
  origins(before) {
    const known = this.start(before);
    return Number.isNaN(known) ? { at: this.first_loc, start: NaN, unit: this.scale } : { at: known, start: 0, unit: this.scale };
  }

  toSum(x) {
    return forward(x, this.transform, this.unit);
  }

  start(before) {
    return isLegal(before, this.transform, this.unit) ? forward(before, this.transform, this.unit) : NaN;
  }
}

function readMonths(object, where) {
  return object && new Months(readAs(Months.keys, object, where), where);
}

export class MomentPart extends Column {
  static tag = "part";
  static keys = {
    unit: ["positive"], size: ["positive"], origin: ["number"], count: ["whole", 0], delayed: ["boolean", false],
    number: ["object", null], months: ["object", null],
  };
  static renamed = { number: "counts" };

  constructor(object, where) {
    super(object, where);
    this.counts = this.counts && new NumericEncoder(this.counts, `${where}, number`);
    this.months = readMonths(this.months, `${where}, months`);
    const { mass, nullable, cumulative } = this.counts ?? { mass: true };
    if (!mass || nullable || cumulative) throw new Refused(`${where}, counts`, "masses of numbers, none missing", "others");
    if (!this.counts && (this.count < 2 || this.count > 24)) throw new Refused(where, "2 to 24 counts", String(this.count));
  }

  get symbols() {
    return this.counts ? null : this.count;
  }

  get nullable() {
    return false;
  }

  get title() {
    const size = Math.round(this.size * this.unit);
    if (this.delayed) return this.count ? "rest of it" : "delay";
    if (this.months) return { 1: "month", 3: "quarter", 6: "half-year", 12: "year" }[Math.round(this.size * this.months.count)] ?? "time";
    if (size === DAY && this.count === 7) return "weekday";
    return { [DAY / 24]: "hour", [DAY]: "day", [7 * DAY]: "week", [364 * DAY]: "year" }[size] ?? "time";
  }

  base(before) {
    return this.delayed && !Number.isNaN(before) ? Math.floor(this.toUnits(before)) : this.origin;
  }

  toUnits(time) {
    return this.months ? this.months.toUnits(time) : time / this.unit;
  }

  /** The symbol or z of a moment in units; infinite ones stay. */
  seen(y, base) {
    if (!Number.isFinite(y)) return y;
    let count = Math.floor((y - base) / this.size);
    if (this.count) count -= Math.floor(count / this.count) * this.count;
    return this.counts ? this.counts.z(count, "first moment") : count;
  }

  units(encoded) {
    return (this.counts ? rint(this.counts.decode([encoded], {})[0][0]) : encoded) * this.size;
  }

  decode() {
    return [];
  }
}

export class IncrementEncoder extends Column {
  static tag = "increment";
  static keys = {
    increment: ["object"], origin: ["number"], unit: ["notnegative", 0], decimals: ["digits", null], low: ["number", 0],
    high: ["number", 0], sign: ["sign", 1], floor: ["number", null], moves: ["boolean", false],
    ceiling: ["number", null], first: ["list", []], months: ["object", null],
    by_month: ["boolean", false], rise: ["number", null],
  };

  constructor(object, where) {
    super(object, where);
    this.increment = new NumericEncoder(this.increment, `${where}, increment`);
    this.first = this.first.map((part, k) => new MomentPart(part, `${where}, part ${k}`));
    if (this.unit < 0 || (this.unit && this.sign !== 1)) throw new Refused(where, "a unit from 0 on, and the sign 1 of timestamps", String(this.unit));
    this.cumulative = true;
    this.months = readMonths(this.months, `${where}, months`);
    this.isDate = this.unit > 0;
    this.first.forEach((part, k) => {
      const before = this.first[k - 1], count = before ? before.size / part.size : 0;
      if (JSON.stringify(part.months) !== JSON.stringify(this.months) || part.count !== count || part.unit !== this.unit || (before && (part.origin !== before.origin || part.delayed !== before.delayed))
        || (k + 1 === this.first.length && part.size !== 1)) throw new Refused(`${where}, first moment`, "parts of one moment, each a whole number of the next", "others");
    });
    this.delayed = this.first.length > 0 && this.first[0].delayed;
    this.end = this.sign === -1 ? this.floor : this.ceiling;
  }

  get nullable() {
    return this.increment.nullable;
  }

  get parts() {
    return this.first;
  }

  base(before) {
    if (this.first.length) return this.first[0].base(before);
    return Number.isNaN(before) ? this.origin : this.toSum(before);
  }

  decode(encoded, around) {
    const base = this.base(around.before), before = this.toSum(around.before);
    let total = NaN, start = before;
    const known = k => around.observed && !Number.isNaN(around.observed[k]);
    const [steps] = this.increment.decode(Array.from(encoded, z => (Number.isFinite(z) ? z : NaN)), {});
    return [Array.from(encoded, (z, k) => {
      let y = NaN;
      if (!Number.isNaN(z)) {
        let step = steps[k];
        if (z === Infinity) {
          step = this.first.reduce((sum, part, i) => sum + part.units(around.parts[i][k]), base);
          if (Number.isNaN(total)) start = 0;
        }
        if (Number.isNaN(total)) total = Number.isNaN(start) ? base : start;
        total = known(k) ? this.toSum(around.observed[k]) : total + step;
        y = total;
        if (around.upper) y = Math.min(y, around.upper[k]);
      }
      if (this.isDate) {
        if (known(k)) return BigInt(rint(around.observed[k]));
        return Number.isNaN(y) ? null : within(BigInt(rint(clip(this.toValue(rint(y)), Number(EARLIEST), Number(LATEST)))));
      }
      let x = known(k) ? around.observed[k] : this.inside(this.sign * y + 0, this.sign * start);
      if (this.decimals !== null) x = roundTo(x, this.decimals);
      return orNull(x);
    })];
  }

  /** A value on the bound, where float32 has carried it across; not of a sequence that starts beyond. */
  inside(x, start) {
    if (this.end === null) return x;
    const slack = 1e-5 * Math.max(Math.abs(this.low), Math.abs(this.high)), beyond = this.sign * (x - this.end);
    return beyond > 0 && beyond < slack && !(this.sign * (start - this.end) > 0) ? this.end : x;
  }

  get sumUnit() {
    return ["log1p", "asinh"].includes(this.increment.transform) ? this.increment.unit : this.increment.scale;
  }

  get never() {
    return this.increment.floor !== 0 ? null : this.sign === 1 ? "falls" : "rises";
  }

  origins(before) {
    const known = this.delayed ? NaN : this.toSum(before);
    return {
      at: Number.isNaN(known) ? this.base(before) : known,
      start: Number.isNaN(known) && this.first.length ? NaN : 0,
      unit: this.sumUnit,
    };
  }

  toSum(x) {
    return this.months ? this.months.toUnits(x) : x / (this.unit || this.sign);
  }

  /** Microseconds, or a number: undoes `toSum`. */
  toValue(y) {
    return this.months ? this.months.toTime(y) : y * (this.unit || this.sign);
  }
}

function within(ticks) {
  return ticks < EARLIEST ? EARLIEST : ticks > LATEST ? LATEST : ticks;
}

export class DistanceEncoder extends Column {
  static tag = "distance";
  static keys = {
    distance: ["object"], references: ["texts"], sign: [[1, -1, 0], 1], relative: ["boolean", false], unit: ["notnegative", 0],
    decimals: ["digits", null], low: ["number", 0], high: ["number", 0], floor: ["number", null],
    ceiling: ["number", null], ends: ["pair", null], within: ["pair", null], rises: ["boolean", false], signs: ["numbers", []],
    change: ["boolean", false], from_zero: ["boolean", false],
  };

  constructor(object, where) {
    super(object, where);
    this.distance = new NumericEncoder(this.distance, `${where}, distance`);
    this.isDate = this.unit > 0;
    if (!this.references.length || this.distance.cumulative || (this.isDate && this.relative)) {
      throw new Refused(where, "references, and distances that don't add up", listed(this.references));
    }
    const running = this.signs.length > 0, one = this.signs.every(sign => Math.abs(sign) === 1);
    if (running && (!one || this.signs.length !== this.references.length || this.sign || this.relative)) {
      throw new Refused(`${where}, signs`, "one for each reference of a running total", listed(this.signs));
    }
    if (this.change && !running) throw new Refused(`${where}, change`, "the sign of a total", "none");
    if (!this.sign && (this.isDate || (this.references.length > 1 && !running))) throw new Refused(where, "numbers, and one reference", listed(this.references));
  }

  /** The reference of a step, of the values of its references that are present; null where none is. */
  reference(values) {
    const further = (a, b) => ((this.sign === -1) === (a < b) ? a : b);
    return values.length ? values.reduce(further) : null;
  }

  /**
   * What a running total would be: its value before (0 where unknown), with the references of the step added or taken.
   * Of a part, what its total, the last reference, has changed by and the others don't explain; 0 where that is unknown.
   */
  carriedOn(before, values) {
    const last = Number.isNaN(before) && (!this.change || this.from_zero) ? 0 : before;
    if (Number.isNaN(last)) return 0;
    const sum = this.signs.reduce((all, sign, k) => all + sign * values[k], 0);
    return this.change ? sum - this.signs.at(-1) * last : last + sum;
  }

  /** Running totals or parts whose distances are given, in original units. */
  runningTotals(steps, around) {
    let last = around.before;
    return steps.map((step, k) => {
      const given = around.observed && !Number.isNaN(around.observed[k]), others = around.references.map(column => Number(column[k]));
      const value = given ? around.observed[k] : this.carriedOn(last, others) + step;
      last = this.change ? others.at(-1) : value;
      return given || this.decimals === null ? value : roundTo(value, this.decimals);
    });
  }

  /** How far a number lies from its reference; a relative distance is a logarithm. */
  between(y, r) {
    return (this.relative ? Math.log(y / r) : y - r) * (this.sign || 1) + 0;
  }

  /** The number at a distance from its reference, on the right side of it, and not beyond its ends. */
  numberAt(d, r) {
    const side = this.sign || 1;
    let y = this.relative ? r * Math.exp(side * d) : r + side * d;
    if (this.ends && this.within && r >= this.within[0] && r <= this.within[1]) y = clip(y, ...this.ends);
    if (this.decimals !== null) y = roundTo(y, this.decimals);
    y = clip(y, this.floor ?? -Infinity, this.ceiling ?? Infinity);
    return this.sign ? this.reference([y, r]) : y; // rounding may have crossed over
  }

  get nullable() {
    return this.distance.nullable;
  }

  decode(encoded, around) {
    const [steps] = this.distance.decode(encoded, {});
    if (this.signs.length) return [this.runningTotals(steps, around)];
    let largest = null;
    return [steps.map((step, k) => {
      const r = this.reference(around.references.map(column => column[k]).filter(value => value !== null));
      const given = around.observed && !Number.isNaN(around.observed[k]) ? around.observed[k] : null;
      const d = step === null || !this.sign ? step : Math.max(step, 0);
      if (this.isDate) {
        let ticks = null;
        if (given !== null) ticks = BigInt(rint(given));
        else if (d !== null && r !== null) {
          const span = BigInt(rint(clip(rint(d) * this.unit, 0, Number(LATEST - EARLIEST))));
          ticks = within(r + BigInt(this.sign) * span);
        }
        if (ticks !== null && this.rises) ticks = largest = largest !== null && largest > ticks ? largest : ticks;
        return ticks;
      }
      if (given !== null) return given;
      return d === null || r === null ? null : this.numberAt(d, r);
    })];
  }
}

export class AngleEncoder extends Column {
  static tag = "angle";
  static keys = {
    period: ["positive"], start: ["number"], turned: ["boolean", false], unit: ["notnegative", 0], decimals: ["digits", null],
    nullable: ["boolean", false], missing: ["probability", 0], step: ["notnegative", 0], mass: ["boolean", false],
    point_masses: ["numbers", []],
  };

  constructor(object, where) {
    super(object, where);
    this.perRadian = this.period / (2 * Math.PI);
    this.points = this.point_masses.map(value => value / this.perRadian);
  }

  wrapped(x) {
    x = mod(x - this.start, this.period) + this.start;
    return x >= this.start + this.period ? this.start : x;
  }

  valueOf(z) {
    let x = z * this.perRadian;
    this.points.forEach((point, k) => {
      if (Math.abs(z - point) <= 2e-6 * (1 + Math.abs(point))) x = this.point_masses[k];
    });
    if (this.decimals !== null) x = roundTo(x, this.decimals);
    x = x - this.period * Math.floor((x - this.start) / this.period);
    x = (x >= this.start + this.period ? this.start : x) + 0;
    if (this.turned && x === this.start) x = this.start + this.period;
    return x;
  }

  decode(encoded, around) {
    return [Array.from(encoded, (z, k) => {
      let x = Number.isNaN(z) ? NaN : this.valueOf(z);
      if (around.observed && !Number.isNaN(around.observed[k])) x = around.observed[k];
      return orNull(this.decimals === null ? x : roundTo(x, this.decimals));
    })];
  }

  z(x, location) {
    if (Number.isNaN(x)) return x;
    if (x < this.start || x > this.start + this.period) {
      throw new Refused(location, `an angle from ${this.start} to ${this.start + this.period}, as in training`, String(x));
    }
    return (x === this.start + this.period ? this.start : x) / this.perRadian;
  }
}

export class MultiLabel extends Column {
  static tag = "multilabel";
  static keys = { members: ["texts"], nullable: ["boolean", false], share: ["probability", 0] };
  static renamed = { members: "names" };

  get members() {
    return this.names.length;
  }

  decode(encoded) {
    return this.names.map((_, m) => Array.from(encoded, value => (Number.isNaN(value[0]) ? null : value[m] > 0)));
  }
}

export class BinaryEncoder extends Column {
  static tag = "binary";
  static keys = { nullable: ["boolean", false] };

  encodeInput(value, location) {
    if (!this.present(value, location)) return [NaN];
    if (typeof value !== "boolean") throw new Refused(location, "true or false", JSON.stringify(value));
    return [value ? 1 : -1];
  }
}

export class AngleInput extends Column {
  static tag = "angle_input";
  static keys = { period: ["positive"], start: ["number"], nullable: ["boolean", false], whole: ["boolean", false] };

  get members() {
    return 2;
  }

  encodeInput(value, location) {
    const z = this.number(value, location) * ((2 * Math.PI) / this.period);
    return [Math.sin(z), Math.cos(z)];
  }
}

const CYCLES = { year: 365.2425, week: 7, day: 1 };

export class TimestampEncoder extends Column {
  static tag = "timestamp";
  static keys = { loc: ["number"], scale: ["positive"], cycles: ["texts", []], nullable: ["boolean", false] };
  isDate = true;

  constructor(object, where) {
    super(object, where);
    if (!this.cycles.every(cycle => Object.hasOwn(CYCLES, cycle))) throw new Refused(where, `cycles of ${listed(Object.keys(CYCLES))}`, listed(this.cycles));
  }

  get members() {
    return 1 + 2 * this.cycles.length;
  }

  encodeInput(value, location) {
    const days = this.present(value, location) ? Number(parseDate(value, location)) / DAY : NaN;
    const angles = this.cycles.map(cycle => (2 * Math.PI * days) / CYCLES[cycle]);
    return [(days - this.loc) / this.scale, ...angles.flatMap(angle => [Math.sin(angle), Math.cos(angle)])];
  }
}

export class VectorEncoder extends Column {
  static tag = "vector";
  static keys = { dim: ["whole"], loc: ["numbers"], scale: ["numbers"], nullable: ["boolean", false] };

  constructor(object, where) {
    super(object, where);
    if (this.loc.length !== this.dim || this.scale.length !== this.dim || !this.scale.every(scale => scale > 0)) {
      throw new Refused(where, `${this.dim} locations and scales above 0`, listed(this.scale));
    }
  }

  get members() {
    return this.dim;
  }

  encodeInput(value, location) {
    if (!this.present(value, location)) return new Array(this.dim).fill(NaN);
    if (!Array.isArray(value) || value.length !== this.dim) {
      throw new Refused(location, `${this.dim} numbers, as in training`, JSON.stringify(value));
    }
    return value.map((x, k) => (this.number(x, location) - this.loc[k]) / this.scale[k]);
  }
}

const INPUTS = {
  vocabulary: Vocabulary, numeric: NumericEncoder, angle_input: AngleInput, binary: BinaryEncoder,
  timestamp: TimestampEncoder, vector: VectorEncoder,
};
const STEPS = {
  vocabulary: Vocabulary, joint: JointVocabulary, numeric: NumericEncoder, increment: IncrementEncoder,
  distance: DistanceEncoder, angle: AngleEncoder, multilabel: MultiLabel,
};

function readColumn(kinds, object, where) {
  const kind = isObject(object) ? object.kind : null;
  if (typeof kind !== "string" || !Object.hasOwn(kinds, kind)) {
    throw new Refused(where, `a column of ${Object.keys(kinds).join(", ")}`, String(kind));
  }
  return new kinds[kind](object, where);
}

export const readInput = (object, where) => readColumn(INPUTS, object, where);
export const readStep = (object, where) => readColumn(STEPS, object, where);
export { fround, isMissing };
