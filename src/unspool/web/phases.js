// Phase one, phase two, and one step in detail.

import { bars, numberChart, ruler, stackedStrips, strip } from "./charts.js";
import { cellWord, drawsOf, fieldTitle, numberWord, outlook, share, stepWord, unitsOf, wordOf } from "./describe.js";
import { el } from "./elements.js";
import { sigmoid } from "./maths.js";
import { windowOf } from "./story.js";

export const GATE_NAMES = { i: "input gate i", f: "forget gate f", g: "candidate g", o: "output gate o" };
const COLUMNS = 60, MOST_LINES = 5;

/** A part of the gates of a layer: those of one kind. */
export function gateOf(layer, kind, H) {
  const at = "ifgo".indexOf(kind) * H;
  return layer.gates.subarray(at, at + H);
}

function row(name, note, picture) {
  return el("div", { class: "row" }, el("div", { class: "row-name" }, el("b", {}, name), note ? el("small", {}, note) : null), picture);
}

/** Phase one: the fields, their embeddings, what each adds to the context, the gates, c and h. */
export function phaseOne(app) {
  const { model, made, state } = app, { phase } = made, H = model.network.size, layer = phase.states[state.layer] ?? phase.states[0];
  const chosen = unit => app.set({ unit });
  const weight = part => Math.sqrt(part.reduce((sum, x) => sum + x * x, 0)), whole = phase.parts.reduce((sum, part) => sum + weight(part), 0) || 1;
  const fields = model.codec.inputs.map(({ field }, j) => {
    const { read } = model.network.inputs[j];
    return el("div", { class: "input-field" },
      el("h3", {}, model.codec.isUnconditional ? "no input" : field.name, el("span", { class: "value" }, model.codec.isUnconditional ? "" : wordOf(state.inputs.get(field.name)))),
      row("embedding", `${read.width} numbers`, strip(phase.vectors[j], { label: `embedding of ${field.name}`, name: k => read.names[k] })),
      row("adds to the context", `${share(weight(phase.parts[j]) / whole)} of all`, strip(phase.parts[j], { label: `what ${field.name} adds to the context`, name: k => `context ${k + 1}` })));
  });
  return [
    ...fields,
    el("p", { class: "arrow" }, "The sum of all, with a bias, through tanh:"),
    row("context", `${H} numbers`, strip(phase.context, { label: "context", name: k => `context ${k + 1}` })),
    el("p", { class: "arrow" }, "One step of the encoder LSTM, from a state of zero:"),
    ...["i", "g", "o"].map(kind => row(GATE_NAMES[kind], kind === "g" ? "what to store" : kind === "i" ? "how much of it" : "how much shows",
      strip(gateOf(layer, kind, H), { label: `${GATE_NAMES[kind]} of the encoder`, kind: kind === "g" ? "signed" : kind, unit: state.unit, chosen }))),
    row("memory c", "c = i g", strip(layer.c, { label: "first memory c", unit: state.unit, chosen })),
    row("state h", "h = o tanh c", strip(layer.h, { label: "first state h", unit: state.unit, chosen })),
  ];
}

/** The values of a step, a line for each of the first columns. */
function columnWords(model, made, t) {
  const names = model.codec.columnNames;
  const shown = names.slice(0, names.length > MOST_LINES ? MOST_LINES - 1 : MOST_LINES);
  return [...shown.map(name => cellWord(model.codec, name, made.columns.get(name)[t])), ...(names.length > MOST_LINES ? ["…"] : [])];
}

/** Phase two: the sequence unrolled, a column for each step. */
export function phaseTwo(app) {
  const { model, made, state } = app, H = model.network.size, [from, to] = windowOf(made.steps.length, state.step, COLUMNS);
  const records = model.codec.columnNames.length > 1, names = t => columnWords(model, made, t);
  const one = model.codec.fields[0], symbols = model.codec.fields.length === 1 && one.dist.event.symbols != null, rule = app.rule();
  const titles = ["reads", "f", "i", "g", "o", "c", "h", "stop?", ...(symbols ? ["likely"] : []), "gives"];
  const notes = ["", "keep", "store", "what", "show", "memory", "shows", "", "", ""];
  const head = el("div", { class: "column head", "aria-hidden": "true" }, titles.map((name, k) => el("span", { class: name === "likely" ? "cell likely" : `cell r${name === "gives" ? 8 : k}` }, el("b", {}, name), el("small", {}, notes[k]))));
  const columns = made.steps.slice(from, to).map((step, k) => {
    const t = from + k, layer = step.layers[state.layer] ?? step.layers[0], hazard = sigmoid(step.hazard);
    const gives = step.stop ? "end" : stepWord(model, made, t), reads = t ? stepWord(model, made, t - 1) : "START";
    const token = at => (records ? names(at).map(word => el("span", {}, word)) : stepWord(model, made, at));
    return el("button", {
      type: "button", class: "column", id: `column-${t}`, "aria-pressed": t === state.step, onclick: () => app.go(t),
    },
    el("span", { class: "said" }, `step ${t}: reads ${reads}, ${model.codec.stops ? `stops with probability ${share(hazard)}, ` : ""}${step.stop ? "ends" : `gives ${gives}`}`),
    el("span", { class: "cell r0 token", "aria-hidden": "true" }, t ? token(t - 1) : "START"),
    stackedStrips([...["f", "i", "g", "o"].map(kind => ({ values: gateOf(layer, kind, H), kind: kind === "g" ? "signed" : kind, height: 2.6 })),
      { values: layer.c, kind: "signed", height: 4.4 }, { values: layer.h, kind: "signed", height: 4.4 }]),
    el("span", { class: "cell r7", "aria-hidden": "true" }, model.codec.stops ? [el("i", { class: "hazard" }, el("i", { style: { height: `${100 * hazard}%` } }), el("u", { style: { bottom: `${100 * step.uniform}%` } })), el("small", {}, share(hazard))] : el("small", {}, "–")),
    symbols ? el("span", { class: "cell likely", "aria-hidden": "true" }, likely(one, step, rule)) : null,
    el("span", { class: step.stop ? "cell r8 token end" : "cell r8 token", "aria-hidden": "true" }, step.stop ? "end" : token(t)));
  });
  const lines = Math.min(MOST_LINES, model.codec.columnNames.length);
  const longest = Math.max(0, ...made.steps.slice(from, to).map((step, k) => (step.stop ? 0 : Math.max(...names(from + k).map(word => word.length)))));
  const wide = records || longest > 6;
  return el("div", { class: wide ? "unrolled records" : "unrolled", style: { "--lines": lines, "--wide": `${Math.min(13, Math.max(7, 0.53 * longest + 1.4))}rem` } }, head, columns);
}

/** The three likeliest symbols of a step, each with its share as a bar behind it. */
function likely(one, step, rule) {
  const { params, support } = step.chosen[0], { items } = outlook(one, params, rule, support), best = [];
  for (const item of items) {
    best.push(item);
    best.sort((a, b) => b.p - a.p);
    if (best.length > 3) best.pop();
  }
  return best.map(({ label, p, code }) => el("i", { class: !step.stop && code === step.values[0] ? "picked" : null, style: { "--p": `${100 * p}%` } }, label));
}

/** The changes of numbers that a step reads beside their values, in words; null where there is none. */
function changesRead(model, made, t) {
  if (t < 2) return null;
  const changes = model.network.changesOf(made.steps[t - 1].values, made.steps[t - 2].values);
  const words = model.codec.fields.flatMap((one, j) => (Number.isNaN(changes[j]) ? [] : [`${fieldTitle(one)} ${numberWord(changes[j], 2)}`]));
  return words.length ? `${words.slice(0, MOST_LINES).join(", ")}${words.length > MOST_LINES ? ", …" : ""}, in standard deviations` : null;
}

/** One step: whether it stops, and each field's distribution with the uniforms that fell on it. */
export function stepDetail(app) {
  const { model, made, state } = app, t = Math.min(state.step, made.steps.length - 1), step = made.steps[t];
  if (!step) return el("p", {}, "This sequence has no step.");
  const rule = app.rule(), parts = [];
  const reads = t ? stepWord(model, made, t - 1) : "the start token", changes = changesRead(model, made, t);
  parts.push(el("p", { class: "sentence" }, `Step ${t} reads `, el("b", {}, reads), changes && ` (changed by ${changes})`, step.stop ? ", and the network decides to end here." : [", and gives ", el("b", {}, stepWord(model, made, t)), "."]));
  if (model.codec.stops) parts.push(stopDetail(step, t, made, app));
  if (!step.stop) parts.push(...model.codec.fields.map((one, j) => fieldDetail(app, step, one, j, rule)));
  if (made.ended && model.codec.stops && !step.stop && t + 1 === made.steps.length) {
    parts.push(el("p", { class: "quiet" }, `The sequence ends after this step, because none may be longer than ${made.length} steps.`));
  }
  parts.push(equations(app, step, t));
  return parts;
}

function stopDetail(step, t, made, app) {
  const hazard = sigmoid(step.hazard), bias = app.model.network.stop[1], own = bias[Math.min(t, bias.length - 1)];
  const why = el("p", { class: "quiet" }, `The logit ${numberWord(step.hazard, 3)} is a bias of position ${Math.min(t, bias.length - 1)}, ${numberWord(own, 3)}, plus what the state adds, ${numberWord(step.hazard - own, 3)}.`);
  const given = app.state.greedy ? el("p", {}, `Under the rule greedy no uniform decides. The probability to stop here is ${share(hazard)}.`)
    : ruler({ title: "Stop here?", u: step.uniform, parts: [{ label: "stop", p: hazard }, { label: "go on", p: 1 - hazard }], picked: step.stop ? 0 : 1 });
  return el("div", { class: "card" }, el("h3", {}, "Does it stop before this step?"), given, why);
}

function fieldDetail(app, step, one, j, rule) {
  const chosen = step.chosen[j], value = step.values[j], view = outlook(one, chosen.params, rule, chosen.support, value);
  const inactive = one.dist.event.symbols === value || value === Infinity;
  if (one.part && inactive) return null;
  const draws = app.state.greedy ? [{ title: "Greedy:", text: "the most probable value, and no uniform" }]
    : chosen.given ? [{ title: "Given:", text: "this value was forced, so no uniform decided it" }] : drawsOf(one, chosen, rule, value);
  const picture = view.kind === "number" ? (inactive ? el("p", {}, "The parts below give this first value.") : numberChart(view, Number.isNaN(value) ? NaN : unitsOf(one, value), `distribution of ${view.title}`))
    : bars(view.items, { picked: view.kind === "symbols" ? value : -1, label: `probabilities of ${fieldTitle(one)}` });
  return el("div", { class: "card" }, el("h3", {}, `What could ${fieldTitle(one)} be?`),
    el("div", { class: "halves" }, el("div", {}, picture), el("div", {}, inactive ? null : draws.map(ruler))));
}

/** The equations of one unit with their numbers. */
function equations(app, step, t) {
  const { model, made, state } = app, H = model.network.size, k = Math.min(state.unit, H - 1), l = Math.min(state.layer, step.layers.length - 1);
  const layer = step.layers[l], before = t ? made.steps[t - 1].layers[l] : made.phase.states[l], n = x => numberWord(x, 3);
  const [i, f, g, o] = ["i", "f", "g", "o"].map(kind => gateOf(layer, kind, H)[k]);
  const line = (left, middle, right) => [el("dt", {}, left), el("dd", {}, middle, el("b", {}, right))];
  return el("div", { class: "card" }, el("h3", {}, `The equations of unit ${k + 1}`),
    el("dl", { class: "equations" },
      line("forget", "f = sigmoid(z_f) = ", n(f)), line("input", "i = sigmoid(z_i) = ", n(i)), line("candidate", "g = tanh(z_g) = ", n(g)), line("output", "o = sigmoid(z_o) = ", n(o)),
      line("memory", `c = f c + i g = ${n(f)} × ${n(before.c[k])} + ${n(i)} × ${n(g)} = `, n(layer.c[k])),
      line("state", `h = o tanh(c) = ${n(o)} × ${n(Math.tanh(layer.c[k]))} = `, n(layer.h[k]))),
    el("p", { class: "quiet" }, `Each z is what the step before adds${model.network.changes.some(Boolean) ? ", with the last changes of its numbers" : ""}, plus what context and bias add, plus the last h times a matrix. Click a unit above to see another one.`));
}

/** Change only what depends on the chosen step. */
export function markColumn(state) {
  document.querySelectorAll(".unrolled .column[aria-pressed]").forEach(node => node.setAttribute("aria-pressed", node.id === `column-${state.step}`));
  const own = document.getElementById(`column-${state.step}`), box = own?.parentElement;
  if (box) box.scrollTo({ left: own.offsetLeft - box.clientWidth / 2 });
}
