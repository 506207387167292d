// Why this value: the exact parts of a distribution's parameters, and how far the input still decides.

import { lines } from "./charts.js";
import { divergence, fieldTitle, numberWord, share, symbolWord } from "./describe.js";
import { el } from "./elements.js";
import { Categorical, WhereActive, WithMissing } from "./distributions.js";
import { otherValues } from "./form.js";
import { argmax, logSumExp, sigmoid, softmax } from "./maths.js";

const MOST_ROWS = 6;

/** The parts of the parameters of field j at a step: bias, previous step, last change, state, earlier fields; their sum is exact. */
function partsOf({ model: { network }, made }, step, j) {
  const [last, before] = [1, 2].map(back => made.steps[step.number - back]?.values), { params } = step.chosen[j];
  const { bias, direct, changes, state } = network.split(j, step.top, step.fed, before && network.fedByChanges(last, before));
  const within = params.map((x, k) => x - bias[k] - direct[k] - (changes?.[k] ?? 0) - state[k]);
  const found = { bias, [step.number ? "previous step" : "start token"]: direct, ...(changes && { "last change": changes }), state };
  return j ? { ...found, "earlier fields": within } : found;
}

/** The table of the parts, for the field that is chosen. */
export function whyValue(app) {
  const { model, made, state } = app, step = made.steps[Math.min(state.step, made.steps.length - 1)];
  if (!step || step.stop) return [el("p", { class: "quiet" }, "The sequence ends at this step: choose another one. The hazard above says why it ends.")];
  const j = Math.min(state.field, model.codec.fields.length - 1), one = model.codec.fields[j];
  const tabs = model.codec.fields.length < 2 ? null : el("div", { class: "tabs" }, el("label", { for: "why-field" }, "field "), el("select", { id: "why-field", onchange: event => app.set({ field: event.target.selectedIndex }) },
    model.codec.fields.map((other, k) => el("option", { selected: k === j }, fieldTitle(other)))));
  const dist = one.dist instanceof WhereActive ? one.dist.of : one.dist, parts = partsOf(app, step, j);
  return [tabs, dist instanceof Categorical ? symbolTable(one, step, j, parts) : numberTable(one, step, j, parts)];
}

function cells(values, size) {
  return values.map(x => el("td", { style: { "--weight": Math.min(1, Math.abs(x) / size) }, class: x < 0 ? "minus" : "plus" }, numberWord(x, 3)));
}

function symbolTable(one, step, j, parts) {
  const { params } = step.chosen[j], value = step.values[j], whole = logSumExp(params), p = softmax(params);
  const mean = part => part.reduce((sum, x, k) => sum + p[k] * x, 0), names = Object.keys(parts), means = names.map(name => mean(parts[name]));
  const order = Array.from(p, (x, k) => k).sort((a, b) => p[b] - p[a]).slice(0, MOST_ROWS);
  if (!order.includes(value)) order.push(value);
  const table = order.map(k => names.map((name, n) => parts[name][k] - means[n]));
  const size = Math.max(0.1, ...table.flat().map(Math.abs)), own = table[order.indexOf(value)], most = names[argmax(own)];
  return [el("p", {}, "For ", el("b", {}, symbolWord(one.column, value)), " speaks most: ", el("b", {}, { bias: "its bias, which is the same everywhere", "previous step": "the previous step", "start token": "the start token", "last change": "the last change of the numbers", state: "the state, which remembers input and history", "earlier fields": "the earlier fields of this step" }[most]), ` (${numberWord(Math.max(...own), 3)} nats more than for the average symbol).`),
    el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "parts of the logits" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "symbol"), names.map(name => el("th", { scope: "col" }, name)), el("th", { scope: "col" }, "log p"), el("th", { scope: "col" }, "p"))),
      el("tbody", {}, order.map((k, r) => el("tr", { class: k === value ? "picked" : null }, el("th", { scope: "row" }, symbolWord(one.column, k)), cells(table[r], size), el("td", {}, numberWord(params[k] - whole, 3)), el("td", {}, share(p[k]))))))),
    el("p", { class: "quiet" }, "A logit is the sum of these parts. Each part is shown less its average over all symbols, weighted with their probabilities; that changes no probability.")];
}

function numberTable(one, step, j, parts) {
  const { params } = step.chosen[j], names = Object.keys(parts), rows = Array.from(params, (x, k) => names.map(name => parts[name][k]));
  const size = Math.max(0.1, ...rows.flat().map(Math.abs)), titles = paramTitles(one.dist, params.length);
  return [el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "parts of the parameters" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "parameter"), names.map(name => el("th", { scope: "col" }, name)), el("th", { scope: "col" }, "sum"))),
    el("tbody", {}, rows.map((row, k) => el("tr", {}, el("th", { scope: "row" }, titles[k]), cells(row, size), el("td", {}, numberWord(params[k], 3))))))),
  el("p", { class: "quiet" }, "Locations are in standard deviations of training; a raw scale of 0 stands for a scale of 1. The parts add up exactly.")];
}

function paramTitles(dist, count) {
  if (dist instanceof WithMissing) return ["logit of missing", ...paramTitles(dist.of, count - 1)];
  if (dist.own) return ["logit of other values", ...Array.from(dist.values, (_, k) => `logit of repeated value ${k + 1}`), ...paramTitles(dist.of, count - dist.own)];
  if (dist.of) return paramTitles(dist.of, count);
  const K = dist.count ?? 0;
  if (dist.event.members) return Array.from({ length: count }, (_, k) => (k < K ? `bias of label ${k + 1}` : `bias of hidden unit ${k - K + 1}`));
  if (count === 3 * K) return Array.from({ length: count }, (_, k) => `${["logit", "location", "raw scale"][Math.floor(k / K)]} of component ${(k % K) + 1}`);
  return Array.from({ length: count }, (_, k) => (dist.edges ? `logit of bin ${k}` : ["location", "raw scale", "raw degrees of freedom"][k] ?? `parameter ${k + 1}`));
}

/** By step, how far the distributions under this input are from those under other inputs, with the same history. */
export function inputUse(app) {
  const { model, made, state } = app, { codec } = model;
  if (codec.isUnconditional) return [el("p", { class: "quiet" }, "This model has no input.")];
  const others = codec.inputs.flatMap(input => otherValues(input, state.inputs.get(input.field.name)).map(value => new Map([...state.inputs, [input.field.name, value]])));
  const most = Math.max(1, Math.min(others.length, Math.floor(4e7 / (made.encoded[0].length + 1) / model.network.size ** 2 / 8)));
  const chosen = others.slice(0, Math.min(most, 12));
  if (!chosen.length) return [el("p", { class: "quiet" }, "There is no other input to compare with.")];
  const own = model.follow(made.request.encoded, made.encoded);
  const sums = own.map(() => 0), names = [];
  for (const values of chosen) {
    const { encoded } = codec.encode(Object.fromEntries(values)), found = model.follow(encoded, made.encoded);
    found.forEach((step, t) => {
      let nats = codec.stops ? bernoulli(sigmoid(own[t].hazard), sigmoid(step.hazard)) : 0;
      if (t < made.encoded[0].length) codec.fields.forEach((one, j) => {
        if (!(one.part && made.encoded[j][t] === (one.dist.event.symbols ?? Infinity))) nats += divergence(one, own[t].params[j], step.params[j]);
      });
      sums[t] += nats / chosen.length;
    });
    names.push(values);
  }
  const values = codec.stops ? sums : sums.slice(0, -1), last = values[values.length - 1], top = argmax(values);
  return [lines([{ values, kind: "model" }], { label: `divergence by step: ${values.map(x => numberWord(x, 2)).join(", ")}`, at: Math.min(state.step, values.length - 1), low: 0, format: x => `${numberWord(x, 2)} nats` }),
    el("p", {}, `The input decides most at step ${top} (${numberWord(values[top], 3)} nats), and at the last one ${last < 0.02 ? "hardly at all" : `still ${numberWord(last, 3)} nats`}.`),
    el("p", { class: "quiet" }, `The mean divergence from the distributions under ${chosen.length} other input${chosen.length > 1 ? "s" : ""}, which read the same history. 0 nats: the input no longer matters there.`)];
}

function bernoulli(p, q) {
  const term = (a, b) => (a > 1e-12 ? a * Math.log(a / Math.max(b, 1e-12)) : 0);
  return term(p, q) + term(1 - p, 1 - q);
}
