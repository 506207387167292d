// What if: another input, another rule, or a forced value, on the same uniforms.

import { stepWord, wordOf } from "./describe.js";
import { el } from "./elements.js";
import { firstValue, inputForm, otherValues } from "./form.js";

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

/** A control that forces a value at a step, for models whose steps have a column of symbols. */
function forced(app) {
  const { model, state } = app, at = model.codec.steps.findIndex(({ column }) => column.kind === "vocabulary" && !column.bytes);
  if (at < 0) return null;
  const { column, field } = model.codec.steps[at], options = column.values.slice(0, 300);
  return [el("div", { class: "field" }, el("label", { for: "force-step" }, "force at step"), el("input", {
    id: "force-step", type: "number", min: 0, step: 1, value: state.forceStep, oninput: event => /^\d+$/.test(event.target.value) && app.set({ forceStep: Number(event.target.value) }, "branch"),
  })), el("div", { class: "field" }, el("label", { for: "force-value" }, `this ${field.name}`), el("select", {
    id: "force-value", onchange: event => app.set({ force: event.target.selectedIndex - 1 }, "branch"),
  }, el("option", {}, "nothing"), options.map((value, k) => el("option", { selected: k === state.force }, wordOf(value)))))];
}

/** The other branch as an option of `generate`. */
export function otherRequest(app) {
  const { model, state } = app, request = { ...app.request(), inputs: Object.fromEntries(state.other), rule: { greedy: state.otherGreedy, temperature: state.otherTemperature, limit: app.most } };
  const at = model.codec.steps.findIndex(({ column }) => column.kind === "vocabulary" && !column.bytes);
  if (at >= 0 && state.force >= 0 && state.forceStep < app.most) {
    const { column, field } = model.codec.steps[at];
    request.pin = { [state.forceStep]: Object.fromEntries([[field.name, column.values[state.force]]]) };
  }
  return request;
}

/** Both branches under each other, the first difference marked. */
export function branchRows(app, other) {
  const { model, made } = app, words = one => Array.from({ length: Math.min(one.length, 400) }, (_, t) => stepWord(model, one, t));
  const mine = words(made), theirs = words(other);
  let first = 0;
  while (first < Math.min(mine.length, theirs.length) && mine[first] === theirs[first]) first++;
  const same = first === mine.length && first === theirs.length;
  const line = (name, list) => el("div", { class: "branch" }, el("b", {}, name), el("div", { class: model.codec.schema.form === "text" ? "chips letters" : "chips", tabindex: 0, role: "group", "aria-label": `${name}, step by step` },
    list.map((word, t) => el("span", { class: !same && t === first ? "chip differs" : t > first ? "chip after" : "chip" }, word)),
    el("span", { class: "chip end" }, "end")));
  return [line("this one", mine), line("the other", theirs), el("p", {}, same ? "With the same uniforms both are the same." : `They part at step ${first}. The uniforms of both are equal, so only what you changed makes the difference.`)];
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

export { firstValue };
