// The form of the input, made from the schema: a control for each field, as typed values of the model.

import { el } from "./elements.js";
import { wordOf } from "./describe.js";
import { roundTo } from "./maths.js";
import { DAY, writeDate } from "./values.js";

const MOST_OPTIONS = 40, COLOUR = /rgb|colou?r/i;

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

function control(field, column, value, set, id) {
  switch (column.kind) {
    case "vocabulary": return column.values.length <= MOST_OPTIONS ? choice(column.values, value, set, id) : search(column, value, set, id);
    case "binary": return choice(column.nullable ? [true, false, null] : [true, false], value, set, id);
    case "numeric": return number(value, set, id, { low: column.low, high: column.high, decimals: column.decimals, nullable: column.nullable });
    case "angle_input": return number(value, set, id, { low: column.start, high: column.start + column.period, decimals: column.whole ? 0 : null, nullable: column.nullable });
    case "timestamp": return el("input", {
      id, type: "date", value: value === null ? "" : String(value).slice(0, 10), oninput: event => set(event.target.value || null),
    });
    default: return vector(field, column, value, set, id);
  }
}

function choice(options, value, set, id) {
  return el("select", { id, onchange: event => set(options[event.target.selectedIndex]) },
    options.map(option => el("option", { selected: option === value }, wordOf(option))));
}

function search(column, value, set, id) {
  const known = new Map(column.values.map(option => [wordOf(option), option]));
  const box = el("input", { id, type: "text", list: `${id}-list`, value: wordOf(value), autocomplete: "off", spellcheck: "false" });
  box.addEventListener("change", () => set(known.has(box.value) ? known.get(box.value) : box.value));
  return [box, el("datalist", { id: `${id}-list` }, [...known.keys()].slice(0, 2000).map(word => el("option", { value: word })))];
}

function number(value, set, id, { low, high, decimals, nullable }) {
  const step = decimals !== null && decimals <= 2 ? 10 ** -decimals : (high - low) / 200 || 0.01;
  const shown = value === null ? "" : value;
  const box = el("input", { id, type: "number", step: "any", value: shown, inputmode: "decimal" });
  const slide = el("input", { type: "range", min: low, max: high, step, value: shown, "aria-label": `slider from ${low} to ${high}` });
  const read = text => (text.trim() === "" ? null : Number(text));
  box.addEventListener("input", () => {
    slide.value = box.value;
    if (box.value !== "" || nullable) set(read(box.value));
  });
  slide.addEventListener("input", () => {
    box.value = roundTo(Number(slide.value), decimals ?? 4);
    set(Number(box.value));
  });
  return el("div", { class: "number-field" }, slide, box,
    el("small", {}, `training: ${wordOf(low)} to ${wordOf(high)}${nullable ? "; empty: missing" : ""}`));
}

function vector(field, column, value, set, id) {
  const top = Math.max(...column.loc) <= 1.5 ? 1 : 255;
  if (column.dim === 3 && COLOUR.test(field.name) && value) {
    const hex = "#" + value.map(x => Math.max(0, Math.min(255, Math.round((255 * x) / top))).toString(16).padStart(2, "0")).join("");
    return el("input", {
      id, type: "color", value: hex,
      oninput: event => set([1, 3, 5].map(at => (parseInt(event.target.value.slice(at, at + 2), 16) / 255) * top)),
    });
  }
  const box = el("textarea", { id, rows: Math.min(4, Math.ceil(column.dim / 8)), spellcheck: "false" }, (value ?? []).map(x => roundTo(x, 4)).join(", "));
  box.addEventListener("change", () => set(box.value.trim() === "" ? null : box.value.split(/[\s,;]+/).filter(Boolean).map(Number)));
  return [box, el("small", {}, `${column.dim} numbers`)];
}

/** Controls of the luck and of the rule. */
export function luckForm(state, set) {
  const whole = (name, label) => el("div", { class: "field" }, el("label", { for: `luck-${name}` }, label), el("input", {
    id: `luck-${name}`, type: "number", min: 0, step: 1, value: String(state[name]),
    oninput: event => /^\d+$/.test(event.target.value) && set({ [name]: name === "seed" ? event.target.value : Number(event.target.value) }),
  }));
  const heat = el("output", { for: "luck-temperature" }, state.temperature.toFixed(2));
  const fresh = el("button", { type: "button", class: "soft", onclick: () => {
    set({ sample: state.sample + 1 });
    document.getElementById("luck-sample").value = state.sample;
  } }, "Other luck");
  return el("div", { class: "fields luck" }, whole("seed", "seed"), whole("sample", "sample"),
    el("div", { class: "field" }, el("label", { for: "luck-rule" }, "rule"), el("select", {
      id: "luck-rule", onchange: event => set({ greedy: event.target.value === "greedy" }),
    }, ["sample", "greedy"].map(name => el("option", { selected: (name === "greedy") === state.greedy }, name)))),
    el("div", { class: "field" }, el("label", { for: "luck-temperature" }, "temperature ", heat), el("input", {
      id: "luck-temperature", type: "range", min: 0.2, max: 2, step: 0.05, value: state.temperature,
      oninput: event => {
        heat.textContent = Number(event.target.value).toFixed(2);
        set({ temperature: Number(event.target.value) });
      },
    })),
    el("div", { class: "field" }, el("span", { class: "label" }, " "), fresh));
}
