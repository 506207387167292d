// What if: another input, another rule, or a forced value, on the same uniforms.

import { lines } from "./charts.js";
import { choice } from "./controls.js";
import { stepWord, wordOf } from "./describe.js";
import { el, fill } from "./elements.js";
import { inputForm, otherValues } from "./form.js";

const MOST_FORCED = 300, MOST_BRANCH_LINES = 3;

/** The form and the two branches. */
export function whatIf(app) {
  const { model, state } = app, other = state.other;
  const change = (name, value) => {
    other.set(name, value);
    app.set({ other }, "branch");
  };
  const heat = el("output", {}, state.otherTemperature.toFixed(2));
  return el("div", {},
    el("div", { class: "tabs" },
      el("div", { class: "field" }, el("label", { for: "other-rule" }, "other rule"), el("select", {
        id: "other-rule", onchange: event => app.set({ otherGreedy: event.target.value === "greedy" }, "branch"),
      }, ["sample", "greedy"].map(name => el("option", { selected: (name === "greedy") === state.otherGreedy }, name)))),
      el("div", { class: "field" }, el("label", { for: "other-temperature" }, "other temperature ", heat), el("input", {
        id: "other-temperature", type: "range", min: 0.2, max: 2, step: 0.05, value: state.otherTemperature,
        oninput: event => {
          heat.textContent = Number(event.target.value).toFixed(2);
          app.set({ otherTemperature: Number(event.target.value) }, "branch");
        },
      })), forced(app)),
    model.codec.isUnconditional ? null : el("h3", {}, "The other input"), model.codec.isUnconditional ? null : inputForm(model, other, change, "other"),
    el("div", { id: "branches", class: "branches", "aria-live": "polite" }));
}

/** The columns of a step in which a value can be forced. */
function forceable(codec) {
  return codec.steps.flatMap(step => step.field.columns.map((name, member) => ({ ...step, name, member })));
}

/** Controls that force a value of a column at a step. */
function forced(app) {
  const { model, state } = app, columns = forceable(model.codec), own = Math.max(0, columns.findIndex(one => one.name === state.force?.[0]));
  const box = el("div", { class: "field" }), draw = one => fill(box, el("label", { for: "force-value" }, `this ${one.name}`), forcedValue(one, state.force?.[0] === one.name ? state.force[1] : undefined, value => {
    app.set({ force: value === undefined ? null : [one.name, value] }, "branch");
  }));
  draw(columns[own]);
  return [el("div", { class: "field" }, el("label", { for: "force-step" }, "force at step"), el("input", {
    id: "force-step", type: "number", min: 0, step: 1, value: state.forceStep, oninput: event => /^\d+$/.test(event.target.value) && app.set({ forceStep: Number(event.target.value) }, "branch"),
  })), columns.length < 2 ? null : el("div", { class: "field" }, el("label", { for: "force-column" }, "in column"),
    choice(columns.map((_, k) => k), own, k => {
      app.set({ force: null }, "branch");
      draw(columns[k]);
    }, "force-column", columns.map(one => one.name))), box];
}

function forcedValue({ column, member }, value, set) {
  const id = "force-value", symbols = column.kind === "joint" ? column.vocabularies[member] : column.kind === "vocabulary" ? column : null;
  if (symbols || column.kind === "multilabel") {
    const options = symbols ? symbols.values.slice(0, MOST_FORCED) : [true, false];
    const names = options.map((option, code) => (symbols?.bytes ? symbols.name(code) : wordOf(option)));
    return choice([undefined, ...options], value, set, id, ["nothing", ...names]);
  }
  return el("input", {
    id, type: column.isDate ? "date" : "number", step: "any", value: value ?? "", placeholder: "nothing",
    oninput: ({ target }) => !target.validity.badInput && set(target.value === "" ? undefined : column.isDate ? target.value : Number(target.value)),
  });
}

/** The other branch as an option of `generate`. */
export function otherRequest(app) {
  const { model, state } = app, request = { ...app.request(), inputs: Object.fromEntries(state.other), rule: { greedy: state.otherGreedy, temperature: state.otherTemperature, top_p: state.topP < 1 ? state.topP : null, limit: app.most } };
  const known = state.force && forceable(model.codec).some(one => one.name === state.force[0]);
  if (known && state.forceStep < app.most) request.pin = { [state.forceStep]: Object.fromEntries([state.force]) };
  return request;
}

/** The first step at which two sequences differ; null where none does. */
function firstDifference(one, other) {
  const differ = t => one.encoded.some((values, j) => String(values[t]) !== String(other.encoded[j][t])), shorter = Math.min(one.length, other.length);
  for (let t = 0; t < shorter; t++) if (differ(t)) return t;
  return one.length === other.length ? null : shorter;
}

/** Both branches under each other, the first difference marked; of numbers also as lines. */
export function branchRows(app, other) {
  const { model, made } = app, first = firstDifference(made, other), most = 400;
  const line = (name, one) => el("div", { class: "branch" }, el("b", {}, name), el("div", { class: model.codec.schema.form === "text" ? "chips letters" : "chips", tabindex: 0, role: "group", "aria-label": `${name}, step by step` },
    Array.from({ length: Math.min(one.length, most) }, (_, t) => el("span", { class: t === first ? "chip differs" : first !== null && t > first ? "chip after" : "chip" }, stepWord(model, one, t))),
    el("span", { class: first === one.length ? "chip end differs" : "chip end" }, one.length > most ? "…" : "end")));
  const numbers = model.codec.columnNames.filter(name => [...made.columns.get(name), ...other.columns.get(name)].some(value => typeof value === "number")).slice(0, MOST_BRANCH_LINES);
  const values = (one, name) => one.columns.get(name).map(value => value ?? NaN);
  return [line("this one", made), line("the other", other),
    el("p", {}, first === null ? "With the same uniforms both are the same." : `They part at step ${first}. The uniforms of both are equal, so only what you changed makes the difference.`),
    ...numbers.map(name => el("figure", {}, lines([{ values: values(other, name), kind: "reference" }, { values: values(made, name), kind: "model" }], {
      label: `${name} of both branches by step`, at: first, low: Math.min(...[made, other].flatMap(one => values(one, name)).filter(Number.isFinite)), high: Math.max(...[made, other].flatMap(one => values(one, name)).filter(Number.isFinite)),
    }), el("figcaption", {}, `${name}; blue: this one, grey: the other`)))];
}

export function firstOther(model, inputs) {
  const found = new Map(inputs);
  for (const input of model.codec.inputs) {
    const [value] = otherValues(input, found.get(input.field.name));
    if (value !== undefined) {
      found.set(input.field.name, value);
      break;
    }
  }
  return found;
}
