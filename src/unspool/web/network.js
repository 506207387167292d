// The network: one input becomes a state, the state becomes a sequence (unspool/network/decoder.py), for one sequence.

import { readAs } from "./columns.js";
import { Refused } from "./errors.js";
import { Categorical, innermost } from "./distributions.js";
import { addProduct, clip, fround, sigmoid } from "./maths.js";

const WITHIN = 32, INPUT_FEATURES = 32, STEP_FEATURES = 8, MOST_FED_BACK = 20, SEQUENCES_PER_NUMBER = 20;
export const GATES = ["i", "f", "g", "o"];

/** A symbol as its learned row; numbers as they are, a mark where they are missing, and smooth features. */
class Embedding {
  constructor(arrays, name, event, width, features) {
    if (event.symbols != null) {
      this.width = width;
      const rows = arrays.take(`${name}.rows`, event.symbols + 1, width);
      this.embed = symbol => new Float64Array(rows.subarray(symbol * width, (symbol + 1) * width));
      this.names = Array.from({ length: width }, (_, k) => `embedding ${k + 1}`);
      return;
    }
    const members = event.angle ? 2 : event.members ?? 1;
    const A = arrays.take(`${name}.A`, members, features), b = arrays.take(`${name}.b`, features);
    this.width = members + 1 + features;
    this.embed = value => {
      const given = event.members ? value : [value], vector = new Float64Array(this.width);
      const missing = event.angle ? Number.isNaN(value) : given.some(x => !Number.isFinite(x));
      const x = event.angle ? [Math.sin(value), Math.cos(value)].map(part => (missing ? 0 : part))
        : Array.from(given, part => (Number.isFinite(part) ? clip(part, -MOST_FED_BACK, MOST_FED_BACK) : 0));
      vector.set(x);
      vector[members] = missing ? 1 : 0;
      const inner = addProduct(new Float64Array(b), x, A, features);
      for (let k = 0; k < features; k++) vector[members + 1 + k] = Math.tanh(inner[k]);
      return vector;
    };
    this.names = [...(event.angle ? ["sine", "cosine"] : Array.from({ length: members }, (_, k) => members > 1 ? `number ${k + 1}` : "the number")),
      "missing", ...Array.from({ length: features }, (_, k) => `feature ${k + 1}`)];
  }
}

const NETWORK = {
  size: ["counted", null], layers: ["layers", 1], context: [["state", "state+step"], "state+step"], residual: ["boolean", false],
  norm: ["boolean", false], dropout: ["share", null], input_dropout: ["share", null], embedding: ["counted", null],
};

export class Network {
  /** Takes its arrays (an `Arrays`), of which none may be left over. */
  constructor(arrays, codec, options, size, embedding) {
    const { layers, context, residual, norm } = readAs(NETWORK, options, "network"), H = size, Z = 4 * size;
    for (const [name, value] of Object.entries({ size, embedding })) {
      if (!Number.isSafeInteger(value) || value < 1) throw new Refused(`network, ${name}`, "a whole number above 0", String(value));
    }
    Object.assign(this, { codec, size, layers, residual, fields: codec.fields });
    this.inputs = codec.inputs.map(({ column }, j) => {
      const event = column.symbols === null ? { members: column.members } : { symbols: column.symbols };
      const read = new Embedding(arrays, `inputs.${j}`, event, embedding, INPUT_FEATURES);
      return { event, read, project: arrays.take(`project.${j}`, read.width, H) };
    });
    this.contextBias = arrays.take("context_bias", H);
    this.columns = [];
    let Q = 0;
    for (const { dist } of this.fields) {
      this.columns.push(Q);
      Q += dist.numParams;
    }
    // The hazard of stopping reads the last column; old files have none.
    this.width = Z + Q + (codec.stops && !arrays.has("start", Z + Q) ? 1 : 0);
    this.toHazard = this.width > Z + Q;
    this.start = arrays.take("start", this.width);
    // Old files have none, nor those of few sequences; only numbers have them.
    const numbers = this.inputs.reduce((sum, { event }) => sum + (event.members ?? 0), 0);
    const direct = arrays.some("first.") && codec.examples >= SEQUENCES_PER_NUMBER * numbers;
    this.first = this.inputs.map(({ event, read }, j) => (direct && event.symbols == null ? arrays.take(`first.${j}`, read.width - INPUT_FEATURES, this.width - Z) : null));
    this.steps = this.fields.map(({ dist }, j) => {
      const read = new Embedding(arrays, `steps.${j}`, dist.event, embedding, STEP_FEATURES);
      return { read, event: dist.event, feedback: arrays.take(`feedback.${j}`, read.width, this.width), known: new Map() };
    });
    // Old files have none; angles have none, because they have no size.
    const number = ({ dist: { event } }) => event.symbols == null && !event.members && !event.angle;
    this.changes = this.fields.map((one, j) => (arrays.some("changes.") && number(one) ? arrays.take(`changes.${j}`, this.width) : null));
    this.sums = this.fields.map(({ sum }, j) => (sum && arrays.some("sums.") ? arrays.take(`sums.${j}`, sum.width, this.width) : null));
    this.cells = Array.from({ length: layers }, (_, l) => ({
      initial: arrays.take(`initial.${l}`, H, Z), initialBias: arrays.take(`initial_bias.${l}`, Z),
      W: l ? arrays.take(`cells.${l}.W`, H, Z) : null,
      K: context === "state" ? null : arrays.take(`cells.${l}.K`, H, Z),
      R: arrays.take(`cells.${l}.R`, H, Z), b: arrays.take(`cells.${l}.b`, Z),
      norm: norm ? arrays.take(`norms.${l}`, H) : null,
    }));
    this.stop = codec.stops ? [arrays.take("stop.0", H), arrays.take("stop.1", codec.positions)] : null;
    this.outputs = this.fields.map(({ dist }, j) => this.readOutput(arrays, dist, j));
    arrays.done();
    this.numUniforms = (this.stop ? 1 : 0) + this.fields.reduce((sum, { dist }) => sum + dist.numUniforms, 0);
  }

  readOutput(arrays, dist, j) {
    const P = dist.numParams, H = this.size, name = `outputs.${j}`, inside = innermost(dist);
    const found = { A: arrays.take(`${name}.A`, H, P), b: arrays.take(`${name}.b`, P), L: [], W: [], S: [], wide: P };
    if (inside.bind) {
      const M = inside.count, N = M * inside.units;
      inside.bind(...["A", "W", "V"].map((part, k) => arrays.take(`outputs.own.${j}.${part}`, ...[[M, M], [M, N], [N, M]][k])));
    }
    if (!j) return found;
    found.U = arrays.take(`${name}.U`, H, WITHIN);
    for (let k = 0; k < j; k++) {
      found.W.push(arrays.take(`${name}.W.${k}`, this.steps[k].read.width, WITHIN));
      found.L.push(arrays.take(`${name}.L.${k}`, this.steps[k].read.width, P));
      const { sum, rule } = this.fields[k], reads = sum && j > k + rule.parts && arrays.some(`${name}.S.`);
      found.S.push(reads ? arrays.take(`${name}.S.${k}`, sum.width, WITHIN + P) : null);
    }
    // The file has these columns as wide as the network has them, which leaves room for symbols of other data.
    found.wide = dist instanceof Categorical ? sizeClass(P) : P;
    found.B = arrays.take(`${name}.B`, WITHIN, found.wide);
    return found;
  }

  /** Phase one: what each input adds to the context, the context, and by layer the gates and the state. */
  encode(encoded) {
    const H = this.size;
    const vectors = this.inputs.map(({ read }, j) => read.embed(encoded[j]));
    const parts = this.inputs.map(({ project }, j) => addProduct(new Float64Array(H), vectors[j], project, H));
    const context = Float64Array.from(this.contextBias, (bias, k) => Math.tanh(parts.reduce((sum, part) => sum + part[k], bias)));
    const states = this.cells.map(({ initial, initialBias }) => {
      const gates = activate(addProduct(new Float64Array(initialBias), context, initial, 4 * H), H);
      const c = new Float64Array(H), h = new Float64Array(H);
      for (let k = 0; k < H; k++) {
        c[k] = gates[k] * gates[2 * H + k];
        h[k] = gates[3 * H + k] * Math.tanh(c[k]);
      }
      return { gates, c, h };
    });
    const constants = this.cells.map(({ K, b }) => (K ? addProduct(new Float64Array(b), context, K, 4 * H) : new Float64Array(b)));
    return { vectors, parts, context, states, constants };
  }

  /** By field, its value before step 0; NaN where no input has it. */
  valuesBefore(encoded) {
    return this.fields.map(({ before }) => (before ? before(encoded) : NaN));
  }

  /** By field, its running sum before step 0 where a step reads it, NaN before a first value; else null. */
  sumsBefore(encoded) {
    return this.fields.map(({ sum, sumBefore, rule }) => {
      if (!sum) return null;
      const known = sumBefore ? sumBefore(encoded) : NaN;
      return Number.isNaN(known) ? (rule.parts ? NaN : 0) : fround(known);
    });
  }

  /** By field, its running sum after a step. */
  sumsAfter(values, sums) {
    return sums.map((total, j) => this.sumAfter(j, values, total));
  }

  sumAfter(j, values, total) {
    const z = values[j], { rule } = this.fields[j];
    if (total === null || Number.isNaN(z) || (Number.isNaN(total) && z !== Infinity)) return total;
    let added = Number.isFinite(z) ? rule.axis.toOriginal(z) : 0;
    if (z === Infinity) {
      for (let k = j + 1; k <= j + rule.parts; k++) added += this.fields[k].rule.runningSum(values[k]);
    }
    return fround((Number.isNaN(total) ? 0 : total) + added);
  }

  /** What the numbers of the inputs add to the parameters of the first step, and nothing to its gates. */
  fromInputs(vectors) {
    const added = new Float64Array(this.width - 4 * this.size);
    this.first.forEach((weights, j) => weights && addProduct(added, vectors[j].subarray(0, weights.length / added.length), weights, added.length));
    return added;
  }

  /** What the first step reads, the start token, the inputs and what is before it: gates, then parameters, side by side. */
  startFeedback({ vectors }, values, sums) {
    const fed = new Float64Array(this.start), direct = fed.subarray(4 * this.size);
    this.fromInputs(vectors).forEach((x, k) => { direct[k] += x; });
    this.fields.forEach(({ before }, j) => {
      if (before) this.feed(fed, j, values[j]);
    });
    return this.feedSums(fed, sums);
  }

  /** Add what running sums feed back. */
  feedSums(fed, sums) {
    this.sums.forEach((weights, j) => weights && addProduct(fed, this.fields[j].sum.of(sums[j]), weights, this.width));
    return fed;
  }

  /** Add what one field of a step feeds back. */
  feed(fed, j, value) {
    const part = this.fed(j, value), { field, dist } = this.fields[j];
    for (let k = 0; k < fed.length; k++) fed[k] += part[k];
    if (field.kind === "angle") this.carry(fed, j, dist, value);
  }

  /** The location of an angle that follows its value before. */
  carry(fed, j, dist, before) {
    const inside = innermost(dist);
    if (!inside.following || Number.isNaN(before)) return;
    const at = 4 * this.size + this.columns[j] + dist.numParams - inside.numParams + inside.count;
    for (let k = 0; k < inside.following; k++) fed[at + k] += before / inside.unit;
  }

  /** What one field of a step adds to what the next step reads. */
  fed(j, value) {
    const { read, event, feedback, known } = this.steps[j];
    if (event.symbols == null) return addProduct(new Float64Array(this.width), read.embed(value), feedback, this.width);
    if (!known.has(value)) known.set(value, addProduct(new Float64Array(this.width), read.embed(value), feedback, this.width));
    return known.get(value);
  }

  /** By field, how its number has changed since the step before; NaN where nothing reads that. */
  changesOf(values, before) {
    return this.changes.map((weights, j) => (weights && Number.isFinite(values[j] - before[j]) ? values[j] - before[j] : NaN));
  }

  /** What the changes of numbers since the step before add to what the next step reads; null where there is none. */
  fedByChanges(values, before) {
    let found = null;
    this.changesOf(values, before).forEach((change, j) => {
      if (Number.isNaN(change)) return;
      found ??= new Float64Array(this.width);
      for (let k = 0; k < found.length; k++) found[k] += change * this.changes[j][k];
    });
    return found;
  }

  /** What the next step reads, from the values of a step, those of the step before it, and the running sums after it. */
  feedBack(values, before, sums) {
    const fed = this.fedByChanges(values, before) ?? new Float64Array(this.width);
    values.forEach((value, j) => this.feed(fed, j, value));
    return this.feedSums(fed, sums);
  }

  /** Phase two, one step of all layers: by layer gates, c and h, and what the distributions read. */
  step(fed, states, constants) {
    const H = this.size, Z = 4 * H;
    let below = null;
    const layers = this.cells.map(({ W, R, norm }, l) => {
      const z = new Float64Array(constants[l]);
      if (W) addProduct(z, below, W, Z);
      else for (let k = 0; k < Z; k++) z[k] += fed[k];
      const gates = activate(addProduct(z, states[l].h, R, Z), H), c = new Float64Array(H), h = new Float64Array(H);
      for (let k = 0; k < H; k++) {
        c[k] = gates[H + k] * states[l].c[k] + gates[k] * gates[2 * H + k];
        h[k] = gates[3 * H + k] * Math.tanh(c[k]);
      }
      let given = norm ? normed(h, norm) : h;
      if (below && this.residual) given = given.map((x, k) => x + below[k]);
      below = given;
      return { gates, c, h };
    });
    return { layers, top: below };
  }

  hazard(top, fed, position) {
    if (!this.stop) return -Infinity;
    const [weights, bias] = this.stop;
    let logit = bias[Math.min(position, bias.length - 1)] + this.read(fed);
    for (let k = 0; k < top.length; k++) logit += top[k] * weights[k];
    return logit;
  }

  /** What the step before adds to the logit of stopping. */
  read(fed) {
    return this.toHazard ? fed[this.width - 1] : 0;
  }

  /** The distributions of a step before any of its fields is known. */
  begin(top, fed) {
    return this.outputs.map(({ A, b, U, wide }, j) => {
      const linear = addProduct(new Float64Array(b), top, A, b.length), at = 4 * this.size + this.columns[j];
      for (let k = 0; k < b.length; k++) linear[k] += fed[at + k];
      return { linear, hidden: U ? addProduct(new Float64Array(WITHIN), top, U, WITHIN) : null, wide };
    });
  }

  /** Make the value of field k known to the later fields of the step, from all values up to it and the sums before. */
  conditionOn(context, k, values, sums) {
    if (k + 1 === context.length) return;
    const vector = this.steps[k].read.embed(values[k]);
    for (let j = k + 1; j < context.length; j++) {
      addProduct(context[j].hidden, vector, this.outputs[j].W[k], WITHIN);
      addProduct(context[j].linear, vector, this.outputs[j].L[k], context[j].linear.length);
    }
    // With the last part of a first value, or else with the value itself, its running sum is known.
    const owner = this.fields.findIndex(({ sum, rule }, j) => sum && j + rule.parts === k);
    if (owner >= 0) this.conditionOnSum(context, owner, k + 1, this.fields[owner].sum.of(this.sumAfter(owner, values, sums[owner])));
  }

  conditionOnSum(context, k, from, features) {
    for (let j = from; j < context.length; j++) {
      const weights = this.outputs[j].S[k], { hidden, linear } = context[j];
      if (!weights) continue;
      const added = addProduct(new Float64Array(WITHIN + linear.length), features, weights, WITHIN + linear.length);
      for (let m = 0; m < WITHIN; m++) hidden[m] += added[m];
      for (let m = 0; m < linear.length; m++) linear[m] += added[WITHIN + m];
    }
  }

  params(context, j) {
    const { linear, hidden, wide } = context[j], params = linear.slice();
    if (!hidden) return params;
    const { B } = this.outputs[j];
    for (let m = 0; m < WITHIN; m++) {
      const unit = Math.tanh(hidden[m]);
      for (let k = 0; k < params.length; k++) params[k] += unit * B[m * wide + k];
    }
    return params;
  }

  /** The parts of a first distribution's parameters: bias, direct path (previous step and last change), and state. */
  split(j, top, fed, fedByChanges) {
    const { A, b } = this.outputs[j], at = 4 * this.size + this.columns[j];
    const changes = fedByChanges && fedByChanges.slice(at, at + b.length), direct = fed.slice(at, at + b.length);
    return {
      bias: new Float64Array(b), direct: changes ? direct.map((x, k) => x - changes[k]) : direct, changes,
      state: addProduct(new Float64Array(b.length), top, A, b.length),
    };
  }

  /** What each unit of the state adds to a parameter of field j; with `p`, less its mean over all parameters under p. */
  unitParts(j, top, k, p = null) {
    const { A, b } = this.outputs[j], P = b.length;
    return top.map((h, i) => {
      let mean = 0;
      if (p) for (let m = 0; m < P; m++) mean += p[m] * A[i * P + m];
      return h * (A[i * P + k] - mean);
    });
  }

  /** What each unit of the state adds to the logit of stopping. */
  stopParts(top) {
    return top.map((h, i) => h * this.stop[0][i]);
  }
}

function activate(z, H) {
  for (let k = 0; k < z.length; k++) z[k] = k >= 2 * H && k < 3 * H ? Math.tanh(z[k]) : sigmoid(z[k]);
  return z;
}

function normed(h, gain) {
  const mean = h.reduce((sum, x) => sum + x, 0) / h.length, centred = h.map(x => x - mean);
  const scale = 1 / Math.sqrt(centred.reduce((sum, x) => sum + x * x, 0) / h.length + 1e-6);
  return centred.map((x, k) => x * scale * gain[k]);
}

/** As unspool/runtime/sizes.py: a size that is not below a number, of which there are few. */
export function sizeClass(count, multiple = 4) {
  if (count <= 2) return count;
  const step = Math.max(multiple, (2 ** Math.ceil(Math.log2(count))) >> 4);
  return Math.ceil(count / step) * step;
}
