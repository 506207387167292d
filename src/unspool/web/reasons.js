// Why this value: the exact parts of a distribution's parameters, and the units that speak for it.

import { fieldTitle, numberWord, share, symbolWord } from "./describe.js";
import { Categorical, WhereActive, WithMissing } from "./distributions.js";
import { el } from "./elements.js";
import { unitButtons } from "./influence.js";
import { argmax, logSumExp, softmax } from "./maths.js";

const MOST_ROWS = 6;
const SPEAKERS = {
  bias: "its bias, which is the same everywhere", "previous step": "the previous step", "start token": "the start token", "start and values before": "the start token with the values before step 0", "last change": "the last change of the numbers", inputs: "the inputs, which the first step reads directly",
  state: "the state, which remembers input and history", "earlier fields": "the earlier fields of this step",
};

/** The parts of the parameters of field j at a step: bias, previous step or start and inputs, last change, state, earlier fields; their sum is exact. */
function partsOf({ model: { network }, made }, step, j) {
  const t = step.number, [last, before] = [t - 1, t - 2].map(k => (k === -1 ? made.first : made.steps[k]?.values)), { params } = step.chosen[j];
  const { bias, direct, changes, state } = network.split(j, step.top, step.fed, before && network.fedByChanges(last, before));
  const within = params.map((x, k) => x - bias[k] - direct[k] - (changes?.[k] ?? 0) - state[k]);
  const found = { bias, ...(t ? { "previous step": direct } : firstParts(network, made, j, direct)), ...(changes && { "last change": changes }), state };
  return j ? { ...found, "earlier fields": within } : found;
}

/** The parts of what the first step reads. */
function firstParts(network, { phase }, j, direct) {
  const at = network.columns[j], inputs = network.fromInputs(phase.vectors).slice(at, at + direct.length);
  return { [network.fields.some(one => one.before) ? "start and values before" : "start token"]: direct.map((x, k) => x - inputs[k]), inputs };
}

/** Whether a field says nothing at a step: its value is given by other parts, or by none. */
export function isInactive(one, value) {
  return value === Infinity || (one.part !== null && value === one.dist.event.symbols);
}

/** The table of the parts, for the field that is chosen. */
export function whyValue(app) {
  const { model, made, state } = app, step = made.steps[Math.min(state.step, made.steps.length - 1)];
  if (!step || step.stop) return [el("p", { class: "quiet" }, "The sequence ends at this step, so there is no value. The card above says why it ends; choose another step to see the reasons for its value.")];
  const shown = model.codec.fields.map((one, j) => j).filter(j => !isInactive(model.codec.fields[j], step.values[j]));
  const j = shown.includes(state.field) ? state.field : shown[0], one = model.codec.fields[j];
  const tabs = shown.length < 2 ? null : el("div", { class: "field narrow" }, el("label", { for: "why-field" }, "the value of"), el("select", { id: "why-field", onchange: event => app.set({ field: shown[event.target.selectedIndex] }) },
    shown.map(k => el("option", { selected: k === j }, fieldTitle(model.codec.fields[k])))));
  const dist = one.dist instanceof WhereActive ? one.dist.of : one.dist, parts = partsOf(app, step, j);
  return [tabs, dist instanceof Categorical ? symbolTable(app, one, step, j, parts) : numberTable(app, one, step, j, parts)];
}

function cells(values, size) {
  return values.map(x => el("td", { style: { "--weight": Math.min(1, Math.abs(x) / size) }, class: x < 0 ? "minus" : "plus" }, numberWord(x, 3)));
}

function symbolTable(app, one, step, j, parts) {
  const { params } = step.chosen[j], value = step.values[j], whole = logSumExp(params), p = softmax(params);
  const mean = part => part.reduce((sum, x, k) => sum + p[k] * x, 0), names = Object.keys(parts), means = names.map(name => mean(parts[name]));
  const order = Array.from(p, (x, k) => k).sort((a, b) => p[b] - p[a]).slice(0, MOST_ROWS);
  if (!order.includes(value)) order.push(value);
  const table = order.map(k => names.map((name, n) => parts[name][k] - means[n]));
  const unitsOfSymbol = app.model.network.unitParts(j, step.top, value, p);
  const size = Math.max(0.1, ...table.flat().map(Math.abs)), own = table[order.indexOf(value)], most = names[argmax(own)];
  const worst = argmax(own.map(x => -x)), name = el("b", {}, symbolWord(one.column, value)), nats = x => `${x > 0 ? "+" : ""}${numberWord(x, 2)} nats beside the average symbol`;
  const reason = Math.max(...own) < 0.05 ? ["Nothing speaks for ", name, ": it came by luck, with a probability of ", share(p[value]), "."]
    : ["For ", name, " speaks most ", el("b", {}, SPEAKERS[most]), ` (${nats(Math.max(...own))})`, own[worst] < -0.05 ? `, and against it ${SPEAKERS[names[worst]]} (${nats(own[worst])}).` : "."];
  return [el("p", {}, reason),
    el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "parts of the logits" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "symbol"), names.map(name => el("th", { scope: "col" }, name)), el("th", { scope: "col" }, "log p"), el("th", { scope: "col" }, "p"))),
      el("tbody", {}, order.map((k, r) => el("tr", { class: k === value ? "picked" : null }, el("th", { scope: "row" }, symbolWord(one.column, k)), cells(table[r], size), el("td", {}, numberWord(params[k] - whole, 3)), el("td", {}, share(p[k]))))))),
    unitButtons(app, unitsOfSymbol, ["Of the state, these units speak most for or against ", el("b", {}, symbolWord(one.column, value)), ": "]),
    el("p", { class: "quiet" }, "A logit is the sum of these parts. Each part is shown less its average over all symbols, weighted with their probabilities; that changes no probability.")];
}

function numberTable(app, one, step, j, parts) {
  const { params } = step.chosen[j], names = Object.keys(parts), rows = Array.from(params, (x, k) => names.map(name => parts[name][k]));
  const size = Math.max(0.1, ...rows.flat().map(Math.abs)), titles = paramTitles(one.dist, params.length);
  const [counts, about] = countedParameter(titles, params), strongest = argmax(rows[counts].map(Math.abs));
  return [el("p", {}, `The ${about}, ${numberWord(params[counts], 3)}, is moved most by `, el("b", {}, SPEAKERS[names[strongest]]), ` (${numberWord(rows[counts][strongest], 3)}).`),
  el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "parts of the parameters" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "parameter"), names.map(name => el("th", { scope: "col" }, name)), el("th", { scope: "col" }, "sum"))),
    el("tbody", {}, rows.map((row, k) => el("tr", {}, el("th", { scope: "row" }, titles[k]), cells(row, size), el("td", {}, numberWord(params[k], 3))))))),
  unitButtons(app, app.model.network.unitParts(j, step.top, counts), [`Of the state, these units move the ${about} most: `]),
  el("p", { class: "quiet" }, "Locations are in standard deviations of training; a raw scale of 0 stands for a scale of 1. The parts add up exactly.")];
}

/** The parameter whose units are shown: the location of the likeliest component, or else the largest one. */
function countedParameter(titles, params) {
  const at = kind => titles.map((title, k) => (title.startsWith(kind) ? k : -1)).filter(k => k >= 0), places = at("location"), logits = at("logit of component");
  if (!places.length) return [argmax(params), titles[argmax(params)]];
  const k = places[logits.length === places.length ? argmax(logits.map(at => params[at])) : 0];
  return [k, titles[k]];
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
