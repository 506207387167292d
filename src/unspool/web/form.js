// The form of the input, made from the schema: a control for each field, as typed values of the model.

import { control } from "./controls.js";
import { el } from "./elements.js";
import { roundTo } from "./maths.js";
import { DAY, writeDate } from "./values.js";

/** A value of an input to begin with: the most frequent one, or the middle. */
export function firstValue({ column }) {
  switch (column.kind) {
    case "vocabulary": return column.values[0];
    case "numeric": return roundTo(column.valueOf(0), column.decimals ?? 2);
    case "binary": return true;
    case "angle_input": return column.start;
    case "timestamp": return writeDate(BigInt(Math.round(column.loc)) * BigInt(DAY));
    default: return column.loc.map(x => roundTo(x, 3));
  }
}

/** Another value than the given one, for comparisons; the same where there is none. */
export function otherValues({ column }, value) {
  switch (column.kind) {
    case "vocabulary": return column.values.filter(other => other !== value).slice(0, 11);
    case "numeric": return [-1.2, 0, 1.2].map(z => roundTo(column.valueOf(z), column.decimals ?? 2)).filter(x => x !== value);
    case "binary": return [!value];
    case "angle_input": return [0.25, 0.5, 0.75].map(part => column.start + mod1((value - column.start) / column.period + part) * column.period);
    case "timestamp": return [-1, 0, 1].map(z => writeDate(BigInt(Math.round(column.loc + z * column.scale)) * BigInt(DAY)));
    default: return [-1, 1].map(z => column.loc.map((x, k) => x + z * column.scale[k]));
  }
}

function mod1(x) {
  return x - Math.floor(x);
}

/** Controls of all inputs; `changed(name, value)` is told every change. `id` tells apart two forms of one page. */
export function inputForm(model, values, changed, id) {
  if (model.codec.isUnconditional) return el("p", { class: "quiet" }, "This model has no input: it generates from nothing but its start token.");
  return el("div", { class: "fields" }, model.codec.inputs.map(({ field, column }, k) => {
    const name = `${id}-${k}`, set = value => changed(field.name, value);
    return el("div", { class: "field" }, el("label", { for: name }, field.name), control(field, column, values.get(field.name), set, name));
  }));
}

/** Controls of the luck and of the rule. */
export function luckForm(state, set) {
  const whole = (name, label) => el("div", { class: "field" }, el("label", { for: `luck-${name}` }, label), el("input", {
    id: `luck-${name}`, type: "number", min: 0, step: 1, value: String(state[name]),
    oninput: event => /^\d+$/.test(event.target.value) && set({ [name]: name === "seed" ? event.target.value : Number(event.target.value) }),
  }));
  const share = (name, label, low, high) => {
    const id = `luck-${name}`, out = el("output", { for: id }, state[name].toFixed(2));
    return el("div", { class: "field" }, el("label", { for: id }, `${label} `, out), el("input", {
      id, type: "range", min: low, max: high, step: 0.05, value: state[name],
      oninput: event => {
        out.textContent = Number(event.target.value).toFixed(2);
        set({ [name]: Number(event.target.value) });
      },
    }));
  };
  const fresh = el("button", { type: "button", class: "soft", onclick: () => {
    set({ sample: state.sample + 1 });
    document.getElementById("luck-sample").value = state.sample;
  } }, "Other luck");
  return el("div", { class: "fields luck" }, whole("seed", "seed"), whole("sample", "sample"),
    el("div", { class: "field" }, el("label", { for: "luck-rule" }, "rule"), el("select", {
      id: "luck-rule", onchange: event => set({ greedy: event.target.value === "greedy" }),
    }, ["sample", "greedy"].map(name => el("option", { selected: (name === "greedy") === state.greedy }, name)))),
    share("temperature", "temperature", 0.2, 2), share("topP", "top p", 0.05, 1),
    el("div", { class: "field" }, el("span", { class: "label" }, " "), fresh));
}
