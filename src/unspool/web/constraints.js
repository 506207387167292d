// What a caller asks of samples (prefix, pin, allow), and the bounds of what adds up: unspool/constraints.

import { MOST_STEPS } from "./codec.js";
import { isMissing } from "./columns.js";
import { Refused, listed, unsupported } from "./errors.js";
import { fround, rint, roundTo } from "./maths.js";
import { latin1, parseDate, tokenize } from "./values.js";

/** What is asked of one sequence: by field of the network where running sums start, supports, and given values. */
export function readConstraints(codec, before, { prefix = null, pin = null, allow = null, length = null }) {
  const allowed = readAllow(codec, allow), given = readGiven(codec, prefix, pin, allowed, before);
  // Sequences that are longer than in training rise farther.
  const origins = [], supports = [], times = Math.max((length ?? 0) / Math.max(codec.longest, 1), 1);
  codec.steps.forEach((step, k) => {
    const { column, field } = step, value = before.get(field.name) ?? NaN;
    const start = column.cumulative ? column.origins(value) : null;
    let support = supportOf(step, allowed[k], start, times, given?.fields[k]);
    if (!support && given?.upper[k]) support = { low: -Infinity, high: Infinity };
    origins.push(start);
    supports.push(support);
    for (const part of column.parts) {
      const base = part.base(value), ends = allowed[k];
      origins.push({ base, seen: y => part.seen(y, base) });
      supports.push(ends ? {
        low: part.seen(rint(part.toUnits(ends.low)), base), high: part.seen(rint(part.toUnits(ends.high)), base),
      } : null);
    }
  });
  return { origins, supports, given };
}

/** An upper end of running sums; where a given one is larger, the end is as far beyond that. */
function beyond(end, given, distance) {
  return given > end ? given + distance : end;
}

/** The given values of a field, on the axis that adds up. */
function givenValues({ values, where }) {
  return Array.from(values).filter((value, k) => where[k] && !Number.isNaN(value));
}

/**
 * The support of a field's samples, on the network's axis or as running sums; null where there is no limit. At ends that
 * nobody asked for it `reflects` samples.
 */
function supportOf({ column, field }, allowed, origins, times, given) {
  const low = allowed?.low ?? -Infinity, high = allowed?.high ?? Infinity;
  switch (column.kind) {
    case "vocabulary": case "joint": case "multilabel": return allowed;
    case "angle": return allowed && angleSupport(column, allowed);
    case "distance": return null;
  }
  const sum = value => {
    const total = (column.toSum(value) - origins.at) / origins.unit;
    return Number.isNaN(total) ? -Infinity : total;
  };
  const known = given && origins ? givenValues(given).map(y => (y - origins.at) / origins.unit) : [];
  let ends;
  if (column.kind === "numeric") {
    if (!origins) ends = [low, high].map(end => (Number.isFinite(end) ? column.toNetwork(end) : end));
    else ends = [Math.max(low, column.floor ?? -Infinity), Math.min(high, column.ceiling ?? Infinity)].map(sum);
    // What starts or goes on beyond training goes as far from there as sequences of training do.
    if (origins && column.ends && !allowed) {
      const [down, up] = column.excursions.map(part => times * part / origins.unit), starts = !Number.isNaN(origins.start);
      let [least, most] = column.ends.map(sum);
      if (starts) [least, most] = [Math.min(least, -down), Math.max(most, up)];
      least = -beyond(-least, Math.max(...known.map(total => -total)), down);
      most = beyond(most, Math.max(...known), up);
      ends = [Math.max(ends[0], least), Math.min(ends[1], most)];
    }
  } else {
    ends = (column.sign === 1 ? [low, high] : [high, low]).map(sum);
    if (column.end !== null) ends[1] = Math.min(ends[1], Math.max(sum(column.end), 0));
    const rise = column.rise !== null && !allowed ? times * column.rise / origins.unit : Infinity;
    ends[1] = Math.min(ends[1], beyond(rise, Math.max(...known), rise));
    if (column.never && ends[1] < 0) {
      throw new Refused(`allow, column ${JSON.stringify(field.name)}`,
        `a range that reaches the value before step 0, because it never ${column.never}`, "another range");
    }
  }
  if (ends.every(end => !Number.isFinite(end))) return null;
  return { low: fround(ends[0]), high: fround(ends[1]), reflects: column.kind === "numeric" && !allowed };
}

function angleSupport(column, allowed) {
  const start = column.start, end = start + column.period, one = column.perRadian;
  const low = allowed.low === end ? start : allowed.low;
  const high = allowed.high === end && allowed.low > start ? start : allowed.high;
  return { low: low / one, high: high / one };
}

function readAllow(codec, allow) {
  const left = new Map(Object.entries(allow ?? {}));
  const found = codec.steps.map(({ field, column }) => {
    const given = field.columns.filter(name => left.has(name)).map(name => [name, left.get(name)]);
    for (const [name] of given) left.delete(name);
    return given.length ? readAllowed(field, column, given) : null;
  });
  if (left.size) throw unknownColumn("allow", [...left.keys()][0], codec);
  return found;
}

function unknownColumn(location, name, codec) {
  const known = codec.steps.flatMap(({ field }) => field.columns);
  return new Refused(location, `columns of a step: ${listed(known)}`, JSON.stringify(name));
}

function readAllowed(field, column, given) {
  const location = `allow, column ${JSON.stringify(given[0][0])}`;
  for (const [name, values] of given) {
    if (!Array.isArray(values) || !values.length) throw new Refused(`allow, column ${JSON.stringify(name)}`, "a list of values", String(values));
  }
  if (column.kind === "distance") throw new Refused(location, "columns that are learned by themselves", "a distance");
  if (column.kind === "multilabel") {
    const low = new Float64Array(column.members).fill(-1), high = new Float64Array(column.members).fill(1);
    for (const [name, values] of given) {
      const m = field.columns.indexOf(name);
      low[m] = values.includes(false) ? -1 : 1;
      high[m] = values.includes(true) ? 1 : -1;
    }
    return { low, high };
  }
  if (column.symbols !== null) {
    const symbols = new Array(column.symbols).fill(true);
    for (const [name, values] of given) {
      const member = field.columns.indexOf(name), vocabulary = column.vocabularies?.[member] ?? column;
      const codes = new Set(values.map(value => vocabulary.code(value, `allow, column ${JSON.stringify(name)}`)));
      symbols.forEach((_, s) => {
        symbols[s] &&= codes.has(column.tuples ? column.tuples[s][member] : s);
      });
    }
    if (!symbols.some(Boolean)) throw new Refused(location, "values that occur together", "none that do");
    return { symbols };
  }
  return readRange(column, given[0][1], location);
}

function readRange(column, values, location) {
  if (values.length !== 2) throw new Refused(location, "[low, high], either of which may be null", listed(values));
  const ends = values.map((value, k) => (isMissing(value) ? (k ? Infinity : -Infinity)
    : column.isDate ? Number(parseDate(value, location)) : Number(value)));
  if (ends.some(Number.isNaN)) throw new Refused(location, "numbers", listed(values));
  let [low, high] = ends;
  if (column.kind === "increment" && column.isDate) {
    const [first, last] = ends.map(end => column.toSum(end));
    low = Number.isFinite(low) ? column.toValue(Math.ceil(first)) : low;
    high = Number.isFinite(high) ? column.toValue(Math.floor(last)) : high;
  }
  const nothing = () => new Refused(location, "a range in which values lie", `${values[0]} to ${values[1]}`);
  const hasMultiple = (from, to, step) => Math.floor(to / step + 1e-6) >= Math.ceil(from / step - 1e-6);
  if (column.kind === "angle") {
    low = low === -Infinity ? column.start : low;
    high = high === Infinity ? column.start + column.period : high;
    for (const angle of [low, high]) column.z(angle, location);
    if (column.mass && !hasMultiple(low, low > high ? high + column.period : high, column.step)) throw nothing();
    return { low, high };
  }
  const from = Math.max(low, column.floor ?? -Infinity), to = Math.min(high, column.ceiling ?? Infinity);
  if (from > to) throw nothing();
  if (column.kind === "numeric") {
    const { support_points: points, mass, step } = column;
    const some = points.length ? points.some(point => from <= point && point <= to)
      : !mass || !Number.isFinite(from) || !Number.isFinite(to) || hasMultiple(from, to, step);
    if (!some) throw nothing();
  }
  return { low, high };
}

/** The given values, by step field: `values` as the network sees them (cumulative ones on the axis that adds up). */
function readGiven(codec, prefix, pin, allowed, before) {
  if (prefix === null && pin === null) return null;
  const steps = prefixOf(codec, prefix), count = steps.length, pins = pinsOf(codec, pin);
  const length = Math.max(count, ...pins.map(one => one.step + 1));
  const fields = codec.steps.map(({ column }) => ({
    values: Array.from({ length }, () => (column.members > 1 || column.tuples ? new Array(memberCount(column)).fill(0) : 0)),
    where: Array.from({ length }, () => (memberCount(column) > 1 ? new Array(memberCount(column)).fill(false) : false)),
    exact: new Float64Array(length).fill(NaN),
  }));
  const set = (k, step, member, value, location, pinned) => {
    const { field, column } = codec.steps[k], own = fields[k], carried = fields[codec.steps.findIndex(one => one.field.name === field.carried)];
    const last = (step ? carried?.exact[step - 1] : before.get(field.name)) ?? NaN;
    if (pinned && field.signs.length) throw new Refused(location, "columns that are learned by themselves", "a running total", "Give whole steps as a prefix.");
    const [code, exact] = encodeGiven(column, member, value, location, fields, codec, field, step, last);
    if (pinned) checkPin(column, allowed[k], member, code, exact, location);
    if (Array.isArray(own.where[step])) {
      if (own.where[step][member] && !Object.is(own.values[step][member], code)) throw twice(location, value);
      own.values[step][member] = code;
      own.where[step][member] = true;
    } else {
      if (own.where[step] && !Object.is(own.values[step], code)) throw twice(location, value);
      own.values[step] = code;
      own.where[step] = true;
    }
    if (exact !== null) own.exact[step] = exact;
  };
  codec.steps.forEach(({ field }, k) => {
    steps.forEach((record, step) => field.columns.forEach((name, member) =>
      set(k, step, member, record[name], `prefix, step ${step}, column ${JSON.stringify(name)}`, false)));
    for (const one of pins) {
      if (one.field === k) set(k, one.step, one.member, one.value, `pin: step ${one.step}, column ${JSON.stringify(one.name)}`, true);
    }
  });
  const upper = codec.steps.map(({ field, column }, k) =>
    checkGiven(column, field, fields[k], count, pins.some(one => one.field === k), before.get(field.name) ?? NaN, allowed[k]));
  return { length, fields, upper, last: Math.max(-1, ...pins.map(one => one.step)) };
}

function memberCount(column) {
  return column.vocabularies?.length ?? column.members;
}

function twice(location, value) {
  return new Refused(location, "the value that the prefix has there", String(value), "Leave out one.");
}

function encodeGiven(column, member, value, location, fields, codec, field, step, last) {
  if (column.kind === "vocabulary") return [column.code(value, location), ["number", "bigint"].includes(typeof value) ? Number(value) : null];
  if (column.kind === "joint") return [column.vocabularies[member].code(value, location), null];
  if (column.kind === "multilabel") {
    if (!column.present(value, location)) return [NaN, null];
    if (typeof value !== "boolean") throw new Refused(location, "true or false", String(value));
    return [value ? 1 : -1, null];
  }
  const missing = !column.present(value, location);
  const exact = missing ? NaN : column.isDate ? Number(parseDate(value, location)) : Number(value);
  if (!missing && (typeof value === "boolean" || Number.isNaN(exact))) throw new Refused(location, "a number", String(value));
  if (missing) return [NaN, NaN];
  if (column.kind === "distance") return [givenDistance(column, exact, location, fields, codec, field, step, last), exact];
  if (column.kind === "angle") return [column.z(exact, location), exact];
  if (column.cumulative) {
    if (column.kind === "numeric") column.check(exact, location);
    return [column.toSum(exact), exact];
  }
  return [column.z(exact, location), exact];
}

function givenDistance(column, exact, location, fields, codec, field, step, last) {
  const others = field.references.map(name => {
    const own = fields[codec.steps.findIndex(one => one.field.name === name)];
    if (!own.where[step]) throw new Refused(location, `given values of ${listed(field.references)} too`, "none");
    return own.exact[step];
  }).filter(value => !Number.isNaN(value));
  if (field.signs.length) {
    const d = exact - column.carriedOn(last, others);
    return column.distance.z(column.decimals === null ? d : roundTo(d, column.decimals), location);
  }
  const scale = column.unit || 1, r = column.reference(others), d = r === null ? NaN : column.between(exact / scale, r / scale);
  if (Number.isNaN(d)) throw new Refused(location, `a missing value, because ${listed(field.references)} is missing`, String(exact));
  if (column.sign && d < 0) {
    throw new Refused(location, `${column.sign === 1 ? "at least" : "at most"} the value of ${listed(field.references)}`, String(exact));
  }
  return column.distance.z(d, location);
}

function checkPin(column, allowed, member, code, exact, location) {
  const forbidden = () => new Refused(location, "a value that `allow` allows", "another value");
  if (column.kind === "vocabulary" && allowed && !allowed.symbols[code]) throw forbidden();
  if (column.kind === "multilabel" && allowed && (code < allowed.low[member] || code > allowed.high[member])) throw forbidden();
  if (exact === null || Number.isNaN(exact)) return;
  if (allowed) {
    const below = exact < allowed.low, above = exact > allowed.high;
    if (allowed.low > allowed.high ? below && above : below || above) throw forbidden();
  }
  const { decimals = null } = column;
  if (decimals !== null && !column.isDate && Math.round(exact * 10 ** decimals) / 10 ** decimals !== exact) {
    throw new Refused(location, decimals ? `a number of at most ${decimals} decimals` : "a whole number", String(exact));
  }
  const [low, high] = column.kind === "angle" ? [column.start, column.start + column.period]
    : [column.floor ?? -Infinity, column.ceiling ?? Infinity];
  if (exact < low || exact > high) throw new Refused(location, `from ${low} to ${high}, the bounds of the column`, String(exact));
}

/** Refuse given values that contradict each other; by step the next given running value, where none may fall. */
function checkGiven(column, field, own, prefix, pinned, before, allowed) {
  const location = `given values of ${JSON.stringify(field.name)}`;
  if (column.kind === "joint") {
    own.values.forEach((codes, step) => {
      const fits = column.tuples.map((tuple, s) => codes.every((code, m) => !own.where[step][m] || tuple[m] === code)
        && (step < prefix || !allowed || allowed.symbols[s]));
      if (!fits.some(Boolean)) throw new Refused(`${location}, step ${step}`, "a combination that training saw", "another one");
    });
  }
  if (column.kind === "multilabel") {
    own.values.forEach((values, step) => {
      const missing = values.map((value, m) => own.where[step][m] && Number.isNaN(value));
      if (missing.some(Boolean) && !missing.every(Boolean)) throw new Refused(`${location}, step ${step}`, "a block that is missing as a whole", "a part");
    });
  }
  if (column.kind === "increment" && column.never) {
    const end = column.end === null ? Infinity : column.toSum(column.end);
    const far = !allowed ? Infinity : column.toSum(column.never === "rises" ? allowed.low : allowed.high);
    for (let step = 0; step < prefix; step++) {
      if (own.values[step] > end || (Number.isFinite(far) && own.values[step] > far)) {
        throw new Refused(`${location}, step ${step}`, `a value after which one may follow, because it never ${column.never}`, String(own.exact[step]));
      }
    }
  }
  if (column.kind !== "increment" || !column.never || !pinned) return null;
  const upper = new Array(own.values.length).fill(Infinity);
  let last = column.origins(before).at, next = Infinity;
  own.values.forEach((value, step) => {
    if (!own.where[step] || Number.isNaN(value)) return;
    if (value < last) throw new Refused(`${location}, step ${step}`, `no value past the one before, because it never ${column.never}`, String(own.exact[step]));
    last = value;
  });
  for (let step = upper.length - 1; step >= 0; step--) {
    if (own.where[step] && !Number.isNaN(own.values[step])) next = Math.min(next, own.values[step]);
    upper[step] = next;
  }
  return upper;
}

/** A prefix as records of one value for each column. */
function prefixOf(codec, prefix) {
  if (prefix === null) return [];
  const { form } = codec.schema, names = codec.steps.flatMap(({ field }) => field.columns);
  if (form === "text") {
    if (typeof prefix !== "string") throw new Refused("prefix", "a text", String(prefix));
    const { field, column } = codec.steps[0];
    return tokenize(prefix, field.unit, column).map(piece => ({ [field.name]: piece }));
  }
  if (!Array.isArray(prefix)) throw new Refused("prefix", "a list of first steps", String(prefix));
  if (codec.schema.relations.some(one => ["equal", "sum", "missing_with"].includes(one.relation)) && prefix.length) {
    throw unsupported("a prefix of records with derived columns");
  }
  if (form === "list") return prefix.map(value => ({ [names[0]]: value }));
  if (form === "vectors") return prefix.map(values => Object.fromEntries(codec.columnNames.map((name, k) => [name, values[k]])));
  return prefix.map((record, step) => {
    const lacking = names.filter(name => !Object.hasOwn(record, name));
    if (lacking.length) throw new Refused(`prefix, step ${step}`, `a record with ${listed(names)}`, `one without ${listed(lacking)}`);
    return record;
  });
}

function pinsOf(codec, pin) {
  const found = [], columns = new Map();
  codec.steps.forEach(({ field }, k) => field.columns.forEach((name, member) => columns.set(name, [k, member])));
  for (const [text, values] of Object.entries(pin ?? {})) {
    const step = Number(text);
    if (!/^\d+$/.test(text) || step >= MOST_STEPS) throw new Refused("pin", "steps as whole numbers, counted from 0", text);
    const plain = typeof values !== "object" || values === null || Array.isArray(values);
    if (plain && columns.size > 1) throw new Refused(`pin: step ${step}`, "{column: value}", String(values));
    const given = plain ? { [[...columns.keys()][0]]: values } : values;
    for (const [name, value] of Object.entries(given)) {
      if (!columns.has(name)) throw unknownColumn(`pin: step ${step}`, name, codec);
      const [field, member] = columns.get(name), { column } = codec.steps[field];
      found.push({ step, field, member, name, value: column.bytes && typeof value === "string" ? latin1(value) : value });
    }
  }
  return found;
}
