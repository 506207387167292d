// What counts: the units that speak for a value or for the end, and the input, step by step.

import { lines } from "./charts.js";
import { divergence, numberWord } from "./describe.js";
import { el } from "./elements.js";
import { otherValues } from "./form.js";
import { argmax, sigmoid } from "./maths.js";

const MOST_SPEAKING = 5, MOST_OTHERS = 12, MOST_PRODUCTS = 4e7, LITTLE = 0.02;

/** The units of the last layer whose parts are largest, as buttons that choose them. */
export function unitButtons(app, parts, words) {
  const ranked = Array.from(parts, (x, k) => [k, x]).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, MOST_SPEAKING);
  return el("p", { class: "ranks" }, el("span", {}, words), ranked.map(([unit, x]) => el("button", {
    type: "button", class: "soft", onclick: () => app.set({ unit, layer: app.model.network.layers - 1 }),
  }, `unit ${unit + 1} (${x > 0 ? "+" : ""}${numberWord(x, 2)})`)));
}

/**
 * By step, the mean divergence in nats from the distributions under other inputs, which read the same history:
 * {values, count, model}; null where there is nothing to compare with, or where `pause` says that it is of no use any more.
 */
export async function inputUse(app, pause) {
  const { model, made, state } = app, { codec } = model;
  if (codec.isUnconditional) return null;
  const rows = codec.inputs.map(input => otherValues(input, state.inputs.get(input.field.name)).map(value => new Map([...state.inputs, [input.field.name, value]])));
  const others = rows.flatMap(row => row.map((other, k) => [k, other])).sort((a, b) => a[0] - b[0]).map(([, other]) => other); // one of each input first
  const steps = made.encoded[0].length + 1, most = Math.max(1, Math.floor(MOST_PRODUCTS / (8 * steps * model.network.size ** 2)));
  const chosen = others.slice(0, Math.min(most, MOST_OTHERS)), sums = new Float64Array(steps), own = model.follow(made.request.encoded, made.encoded);
  for (const values of chosen) {
    if (!(await pause())) return null;
    const { encoded } = codec.encode(Object.fromEntries(values));
    model.follow(encoded, made.encoded).forEach((step, t) => {
      sums[t] += stepDivergence(codec, own[t], step, made.encoded.map(column => column[t])) / chosen.length;
    });
  }
  return chosen.length ? { values: codec.stops ? sums : sums.slice(0, -1), count: chosen.length } : null;
}

/** The divergence of one step: of stopping, and of every field whose value is known. */
function stepDivergence(codec, own, other, values) {
  const nats = codec.stops ? bernoulli(sigmoid(own.hazard), sigmoid(other.hazard)) : 0;
  return codec.fields.reduce((sum, one, j) => {
    const inactive = values[j] === undefined || (one.part && values[j] === (one.dist.event.symbols ?? Infinity));
    return inactive ? sum : sum + divergence(one, own.params[j], other.params[j]);
  }, nats);
}

function bernoulli(p, q) {
  const term = (a, b) => (a > 1e-12 ? a * Math.log(a / Math.max(b, 1e-12)) : 0);
  return term(p, q) + term(1 - p, 1 - q);
}

/** The divergence by step as a line, and in words, also at the chosen step. */
export function inputUseView(app) {
  const { use, model, state } = app;
  if (model.codec.isUnconditional) return [el("p", { class: "quiet" }, "This model has no input.")];
  if (!use) return [el("p", { class: "quiet" }, "There is no other input to compare with.")];
  const { values, count } = use, at = Math.min(state.step, values.length - 1), top = argmax(values);
  const nats = x => `${numberWord(x, 2)} nats`, times = x => `${numberWord(Math.exp(x), 3)} times as likely`;
  const verdict = values[top] < LITTLE ? ["Hardly anywhere. ", `Even at step ${top}, where it decides most, another input gives nearly the same distribution (${nats(values[top])}).`]
    : [`Most at step ${top}. `, `What comes there is typically ${times(values[top])} under this input as under another one (${nats(values[top])}).`];
  const here = values[at] < LITTLE ? `At step ${at}, which is chosen, the input hardly matters any more: the history says it all.` : `At step ${at}, which is chosen, it is ${times(values[at])} (${nats(values[at])}).`;
  return [el("p", {}, el("b", {}, verdict[0]), verdict[1], at === top || values[top] < LITTLE ? null : ` ${here}`),
    lines([{ values, kind: "model" }], { label: `divergence by step: ${Array.from(values.slice(0, 60), x => numberWord(x, 2)).join(", ")}`, at, low: 0, high: Math.max(0.1, values[top]), format: nats }),
    el("p", { class: "quiet" }, `The mean divergence from the distributions under ${count} other input${count > 1 ? "s" : ""}, which read the same history. 0 nats: the input no longer matters there.`)];
}
