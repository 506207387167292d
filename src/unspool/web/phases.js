// Phase one, phase two, and one step in detail.

import { bars, numberChart, ruler, stackedAt, stackedStrips, strip, violin } from "./charts.js";
import { hexOf } from "./controls.js";
import { cellWord, drawsOf, fieldAt, fieldTitle, numberWord, outlook, share, stepWord, unitsOf, wordOf } from "./describe.js";
import { el } from "./elements.js";
import { unitButtons } from "./influence.js";
import { sigmoid } from "./maths.js";
import { isInactive } from "./reasons.js";
import { windowOf } from "./story.js";

export const GATE_NAMES = { i: "input gate i", f: "forget gate f", g: "candidate g", o: "output gate o" };
export const NEAR_STEPS = 14;
const COLUMNS = 60, MOST_LINES = 5, MOST_GLANCES = 3;

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
  const fields = model.codec.inputs.map(({ field, column }, j) => {
    const { read } = model.network.inputs[j], value = state.inputs.get(field.name), hex = hexOf(field, column, value);
    return el("div", { class: "input-field" },
      el("h3", {}, model.codec.isUnconditional ? "no input" : field.name, model.codec.isUnconditional ? null : el("span", { class: "value" }, hex && el("i", { class: "swatch", style: { background: hex } }), wordOf(value))),
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

/** Phase two: the sequence unrolled, a column for each step; those around the chosen one are filled at once. */
export function phaseTwo(app) {
  const { model, made, state } = app, { codec } = model, [from, to] = windowOf(made.steps.length, state.step, COLUMNS);
  const records = codec.columnNames.length > 1, shown = glanced(codec);
  const part = (name, note, kind) => el("span", { class: `cell ${kind}` }, el("b", {}, name), el("small", {}, note));
  const head = el("div", { class: "column head", "aria-hidden": "true" },
    part("reads", "", "r0"), part("f", "keep", "r1"), part("i", "store", "r2"), part("g", "what", "r3"), part("o", "show", "r4"), part("c", "memory", "r5"), part("h", "shows", "r6"),
    codec.stops ? part("stop?", "", "r7") : null, shown.map(j => part("likely", shown.length > 1 ? fieldTitle(codec.fields[j]) : "", "likely")), part("gives", "", "r8"));
  app.columns = made.steps.slice(from, to).map((step, k) => {
    const t = from + k, gives = step.stop ? "ends" : `gives ${stepWord(model, made, t)}`, stops = codec.stops ? `stops with probability ${share(sigmoid(step.hazard))}, ` : "";
    const node = el("button", { type: "button", class: "column", id: `column-${t}`, "aria-pressed": t === state.step, onclick: event => openStep(app, t, event) },
      el("span", { class: "said" }, `step ${t}: reads ${t ? stepWord(model, made, t - 1) : "START"}, ${stops}${gives}`));
    return { t, node, filled: false };
  });
  fillColumns(app, state.step - NEAR_STEPS, state.step + NEAR_STEPS);
  const tip = el("span", { class: "tip", "aria-hidden": "true", hidden: true });
  const words = app.columns.filter(({ t }) => !made.steps[t].stop).flatMap(({ t }) => columnWords(model, made, t));
  const longest = Math.max(0, ...words.map(word => word.length)), narrow = !records && longest <= 6;
  const style = { "--lines": Math.min(MOST_LINES, codec.columnNames.length), "--wide": `${Math.min(13, Math.max(7, 0.53 * longest + 1.4))}rem` };
  return el("div", { class: narrow ? "unrolled" : "unrolled records", style, onpointermove: event => showTip(app, tip, event), onpointerleave: () => { tip.hidden = true; } }, head, app.columns.map(({ node }) => node), tip);
}

/** The strips of a step: gates, c and h. */
function stripsOf(app, t) {
  const H = app.model.network.size, { layers } = app.made.steps[t], layer = layers[app.state.layer] ?? layers[0];
  return [...["f", "i", "g", "o"].map(name => ({ name, values: gateOf(layer, name, H), kind: name === "g" ? "signed" : name, height: 2.6 })),
    { name: "c", values: layer.c, kind: "signed", height: 4.4 }, { name: "h", values: layer.h, kind: "signed", height: 4.4 }];
}

/** The strip and the unit under the pointer, on the picture of a column; null elsewhere. */
function pointed(app, { target, clientY }) {
  if (!target.classList.contains("stack")) return null;
  const t = Number(target.parentElement.id.slice("column-".length)), box = target.getBoundingClientRect(), strips = stripsOf(app, t);
  const found = stackedAt(strips, (clientY - box.top) / box.height);
  return found && { t, strip: strips[found[0]], unit: found[1] };
}

/** The number under the pointer. */
function showTip(app, tip, event) {
  const found = pointed(app, event);
  tip.hidden = !found;
  if (!found) return;
  const { strip, unit, t } = found, column = event.target.parentElement, box = column.parentElement.getBoundingClientRect();
  tip.textContent = `${strip.name} of unit ${unit + 1} at step ${t}: ${numberWord(strip.values[unit], 3)}`;
  tip.style.left = `${column.offsetLeft}px`;
  tip.style.top = `${event.clientY - box.top + 14}px`;
}

/** A click on a column opens its step, and on a unit also that unit. */
function openStep(app, t, event) {
  const found = pointed(app, event);
  if (!found || found.unit === app.state.unit) return app.go(t);
  app.state.step = t;
  return app.set({ unit: found.unit });
}

/** The fields of the network whose distributions the columns show. */
function glanced(codec) {
  return codec.fields.map((one, j) => j).filter(j => !codec.fields[j].part).slice(0, MOST_GLANCES);
}

/** Give the columns of some steps their pictures, where they have none yet. */
export function fillColumns(app, first, last) {
  for (const column of app.columns) {
    if (column.filled || column.t < first || column.t > last) continue;
    column.filled = true;
    column.node.append(...columnParts(app, column.t));
  }
}

function columnParts(app, t) {
  const { model, made } = app, step = made.steps[t], hazard = sigmoid(step.hazard);
  const records = model.codec.columnNames.length > 1, rule = app.rule();
  const token = at => (records ? columnWords(model, made, at).map(word => el("span", {}, word)) : stepWord(model, made, at));
  return [
    el("span", { class: "cell r0 token", "aria-hidden": "true" }, t ? token(t - 1) : "START"),
    stackedStrips(stripsOf(app, t)),
    model.codec.stops ? el("span", { class: "cell r7", "aria-hidden": "true" },
      el("i", { class: "hazard" }, el("i", { style: { height: `${100 * hazard}%` } }), el("u", { style: { bottom: `${100 * step.uniform}%` } })), el("small", {}, share(hazard))) : "",
    ...glanced(model.codec).map(j => el("span", { class: step.stop ? "cell likely faint" : "cell likely", "aria-hidden": "true" }, glance(made, model.codec.fields[j], step, j, rule))),
    el("span", { class: step.stop ? "cell r8 token end" : "cell r8 token", "aria-hidden": "true" }, step.stop ? "end" : token(t)),
  ];
}

/** The range that all columns of a number show: that of the sequence's values, and as much again. */
function visited(made, one, j) {
  const drawn = Array.from(made.encoded[j]).filter(Number.isFinite), low = Math.min(...drawn), high = Math.max(...drawn), room = Math.max(0.3, 0.5 * (high - low));
  return drawn.length && one.column.kind !== "angle" ? [unitsOf(one, low - room), unitsOf(one, high + room)] : [-Infinity, Infinity];
}

/** The distribution of a field at a step, small: the three likeliest symbols or labels, or the density of a number. */
function glance(made, one, step, j, rule) {
  const { params, support } = step.chosen[j], value = step.values[j];
  if (isInactive(one, value)) return null;
  one = fieldAt(one, j, step, made);
  const view = outlook(one, params, rule, support, value);
  if (view.kind === "number") return violin(view, step.stop || Number.isNaN(value) ? NaN : unitsOf(one, value), visited(made, one, j));
  const best = [];
  for (const item of view.items) {
    best.push(item);
    best.sort((a, b) => b.p - a.p);
    if (best.length > 3) best.pop();
  }
  const isPicked = ({ label, code }) => !step.stop && (view.kind === "symbols" ? code === value : value[one.field.columns.indexOf(label)] > 0);
  return best.map(item => el("i", { class: isPicked(item) ? "picked" : null, style: { "--p": `${100 * item.p}%` } }, item.label));
}

/** The changes of numbers that a step reads beside their values, in words; null where there is none. */
function changesRead(model, made, t) {
  if (t < 1) return null;
  const changes = model.network.changesOf(made.steps[t - 1].values, t > 1 ? made.steps[t - 2].values : made.first);
  const words = model.codec.fields.flatMap((one, j) => (Number.isNaN(changes[j]) ? [] : [`${fieldTitle(one)} ${changes[j] > 0 ? "+" : ""}${numberWord(changes[j], 2)}`]));
  return words.length ? `${words.slice(0, MOST_LINES).join(", ")}${words.length > MOST_LINES ? ", …" : ""} standard deviations` : null;
}

/** One step: whether it stops, and each field's distribution with the uniforms that fell on it. */
export function stepDetail(app) {
  const { model, made, state } = app, t = Math.min(state.step, made.steps.length - 1), step = made.steps[t];
  if (!step) return el("p", {}, "This sequence has no step.");
  const rule = app.rule(), parts = [];
  const also = [model.network.first.some(Boolean) && "the numbers of the input", model.codec.fields.some(one => one.before) && "the values before it that are inputs"];
  const start = ["the start token", ...also.filter(Boolean)].join(", and ");
  const reads = t ? stepWord(model, made, t - 1) : start, changes = changesRead(model, made, t);
  parts.push(el("p", { class: "sentence" }, `Step ${t} reads `, el("b", {}, reads), changes && ` (since the step before it: ${changes})`, step.stop ? ", and the network decides to end here." : [", and gives ", el("b", {}, stepWord(model, made, t)), "."]));
  if (model.codec.stops) parts.push(stopDetail(step, t, made, app));
  if (!step.stop) parts.push(...model.codec.fields.map((one, j) => fieldDetail(app, step, one, j, rule)));
  if (made.ended && model.codec.stops && !step.stop && t + 1 === made.steps.length) {
    parts.push(el("p", { class: "quiet" }, `The sequence ends after this step, because none may be longer than ${made.length} steps.`));
  }
  parts.push(equations(app, step, t));
  return parts;
}

/** Why the sequence ends or goes on: the hazard, the uniform, and what the logit is made of. */
function stopDetail(step, t, made, app) {
  const { network } = app.model, hazard = sigmoid(step.hazard), bias = network.stop[1], at = Math.min(t, bias.length - 1);
  const read = network.read(step.fed), state = step.hazard - bias[at] - read;
  const given = app.state.greedy ? el("p", {}, `Under the rule greedy no uniform decides. The probability to stop here is ${share(hazard)}.`)
    : ruler({ title: "Stop here?", u: step.uniform, parts: [{ label: "stop", p: hazard }, { label: "go on", p: 1 - hazard }], picked: step.stop ? 0 : 1 });
  const alone = share(sigmoid(bias[at])), change = alone === share(hazard) ? "leaves that as it is" : step.hazard > bias[at] ? `raises that to ${share(hazard)}` : `lowers that to ${share(hazard)}`;
  return el("div", { class: "card" }, el("h3", {}, "Does it stop before this step?"), given,
    el("p", {}, `By its position alone, step ${t} would be the end with ${alone}; what came before ${change}.`),
    el("p", { class: "quiet" }, `The logit is the bias of the position, ${numberWord(bias[at], 3)}, plus what the step before adds, ${numberWord(read, 3)}, plus what the state adds, ${numberWord(state, 3)}: ${numberWord(step.hazard, 3)}.`),
    unitButtons(app, network.stopParts(step.top), "Units that speak most for (+) or against (−) an end: "));
}

function fieldDetail(app, step, one, j, rule) {
  const chosen = step.chosen[j], value = step.values[j], title = fieldTitle(one);
  if (isInactive(one, value)) {
    return one.part ? null : el("div", { class: "card" }, el("h3", {}, `What could ${title} be?`), el("p", {}, "This first value has no value before it to change from. The parts below give it."));
  }
  one = fieldAt(one, j, step, app.made);
  const view = outlook(one, chosen.params, rule, chosen.support, value, true);
  const draws = app.state.greedy ? [{ title: "Greedy:", text: "the most probable value, and no uniform" }]
    : chosen.given ? [{ title: "Given:", text: "this value was forced, so no uniform decided it" }] : drawsOf(one, chosen, rule, value);
  const picture = view.kind === "number" ? numberChart(view, Number.isNaN(value) ? NaN : unitsOf(one, value), `distribution of ${view.title}`)
    : bars(view.items, { picked: view.kind === "symbols" ? value : -1, label: `probabilities of ${title}` });
  const untouched = view.kind !== "symbols" && (rule.temperature || rule.top_p);
  return el("div", { class: "card" }, el("h3", {}, `What could ${title} be?`), el("div", { class: "halves" },
    el("div", {}, picture, untouched ? el("p", { class: "quiet" }, "As the network gives it, before temperature and top p.") : null), el("div", {}, draws.map(ruler))));
}

/** The equations of one unit with their numbers. */
function equations(app, step, t) {
  const { model, made, state } = app, H = model.network.size, k = Math.min(state.unit, H - 1), l = Math.min(state.layer, step.layers.length - 1);
  const layer = step.layers[l], before = t ? made.steps[t - 1].layers[l] : made.phase.states[l], n = x => numberWord(x, 3);
  const [i, f, g, o] = ["i", "f", "g", "o"].map(kind => gateOf(layer, kind, H)[k]);
  const line = (left, middle, right) => [el("dt", {}, left), el("dd", {}, middle, el("b", {}, right))];
  const strips = stripsOf(app, t).map(({ name, values, kind }) => row(GATE_NAMES[name] ?? (name === "c" ? "memory c" : "state h"), null,
    strip(values, { label: `${name} at step ${t}`, kind, unit: k, chosen: unit => app.set({ unit }) })));
  return el("div", { class: "card" }, el("h3", {}, "All units at this step"), strips, el("h3", {}, `The equations of unit ${k + 1}`),
    el("dl", { class: "equations" },
      line("forget", "f = sigmoid(z_f) = ", n(f)), line("input", "i = sigmoid(z_i) = ", n(i)), line("candidate", "g = tanh(z_g) = ", n(g)), line("output", "o = sigmoid(z_o) = ", n(o)),
      line("memory", `c = f c + i g = ${n(f)} × ${n(before.c[k])} + ${n(i)} × ${n(g)} = `, n(layer.c[k])),
      line("state", `h = o tanh(c) = ${n(o)} × ${n(Math.tanh(layer.c[k]))} = `, n(layer.h[k]))),
    el("p", { class: "quiet" }, `Each z is what the step before adds${model.network.changes.some(Boolean) ? ", with the last changes of its numbers" : ""}, plus what context and bias add, plus the last h times a matrix. Click a cell above, or press Enter on it, to see another unit.`));
}

/** Change only what depends on the chosen step. */
export function markColumn(state) {
  document.querySelectorAll(".unrolled .column[aria-pressed]").forEach(node => node.setAttribute("aria-pressed", node.id === `column-${state.step}`));
  const own = document.getElementById(`column-${state.step}`), box = own?.parentElement;
  if (box) box.scrollTo({ left: own.offsetLeft - box.clientWidth / 2 });
}
