// One control for each kind of value: a choice, a number with the range of training, a date, a vector, a colour.

import { wordOf } from "./describe.js";
import { el } from "./elements.js";
import { roundTo } from "./maths.js";
import { DAY, writeDate } from "./values.js";

const MOST_OPTIONS = 40, MOST_LISTED_OPTIONS = 2000, MOST_SLIDERS = 8, SIGMAS = 3;
const COLOUR_NAME = /rgb|colou?r/i, HEX = /^#[0-9a-f]{6}$/i;

/** The control of an input's column: it shows a value, and calls `set` with every other one. */
export function control(field, column, value, set, id) {
  switch (column.kind) {
    case "vocabulary":
      if (column.values.every(option => HEX.test(option))) return knownColour(column.values, value, set, id);
      return column.values.length <= MOST_OPTIONS ? choice(column.values, value, set, id) : search(column.values, value, set, id);
    case "binary": return choice(column.nullable ? [true, false, null] : [true, false], value, set, id);
    case "numeric": return number(value, set, id, { low: column.low, high: column.high, decimals: column.decimals, nullable: column.nullable });
    case "angle_input": return number(value, set, id, { low: column.start, high: column.start + column.period, decimals: column.whole ? 0 : null, nullable: column.nullable });
    case "timestamp": return date(column, value, set, id);
    default: return isColour(field, column) ? colour(column, value, set, id) : vector(column, value, set, id);
  }
}

/** Whether a vector is a colour: three numbers that are called so. */
export function isColour(field, column) {
  return column.kind === "vector" && column.dim === 3 && COLOUR_NAME.test(field.name);
}

/** The largest number of a channel: 1, or 255. */
function fullChannel(column) {
  return Math.max(...column.loc.map((mean, k) => mean + column.scale[k])) <= 2 ? 1 : 255;
}

/** A colour as the browser writes it, or null where a value is none. */
export function hexOf(field, column, value) {
  if (typeof value === "string" && HEX.test(value)) return value.toLowerCase();
  if (!Array.isArray(value) || !isColour(field, column)) return null;
  const full = fullChannel(column), byte = x => Math.max(0, Math.min(255, Math.round((255 * x) / full)));
  return "#" + value.map(x => byte(x).toString(16).padStart(2, "0")).join("");
}

const channels = hex => [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));

function colour(column, value, set, id) {
  const full = fullChannel(column), show = hex => `${hex}: ${channels(hex).map(x => roundTo((x / 255) * full, 3)).join(", ")}`;
  const first = hexOf({ name: "colour" }, column, value) ?? "#808080", note = el("small", {}, show(first));
  return [el("input", {
    id, type: "color", value: first,
    oninput: event => {
      note.textContent = show(event.target.value);
      set(channels(event.target.value).map(x => (x / 255) * full));
    },
  }), note];
}

/** The colour of the list that is nearest to the one that is picked. */
function knownColour(values, value, set, id) {
  const known = values.map(channels), note = el("small", {}, String(value));
  return [el("input", {
    id, type: "color", value: hexOf(null, {}, value) ?? "#808080",
    oninput: event => {
      const picked = channels(event.target.value), far = known.map(one => one.reduce((sum, x, k) => sum + (x - picked[k]) ** 2, 0));
      const nearest = values[far.indexOf(Math.min(...far))];
      note.textContent = `${nearest}, the nearest of ${values.length} that the model knows`;
      set(nearest);
    },
  }), note];
}

/** A list of options; `names` are what they are called. */
export function choice(options, value, set, id, names = options.map(wordOf)) {
  return el("select", { id, onchange: event => set(options[event.target.selectedIndex]) },
    options.map((option, k) => el("option", { selected: option === value }, names[k])));
}

function search(values, value, set, id) {
  const known = new Map(values.map(option => [wordOf(option), option]));
  const box = el("input", { id, type: "text", list: `${id}-list`, value: wordOf(value), autocomplete: "off", spellcheck: "false" });
  box.addEventListener("input", () => known.has(box.value) && set(known.get(box.value)));
  box.addEventListener("change", () => set(known.get(box.value) ?? box.value));
  return [box, el("datalist", { id: `${id}-list` }, [...known.keys()].slice(0, MOST_LISTED_OPTIONS).map(word => el("option", { value: word }))),
    el("small", {}, `one of ${values.length.toLocaleString("en")}`)];
}

function number(value, set, id, { low, high, decimals, nullable, said = `training: ${wordOf(low)} to ${wordOf(high)}`, label = null }) {
  const step = decimals !== null && decimals <= 2 ? 10 ** -decimals : (high - low) / 200 || 0.01;
  const shown = value === null ? "" : roundTo(value, Math.min(decimals ?? 6, 12));
  const box = el("input", { id, type: "number", step: "any", value: shown, inputmode: "decimal", "aria-label": label });
  const slide = el("input", { type: "range", min: low, max: high, step, value: shown, "aria-label": `${label ?? "slider"} from ${wordOf(low)} to ${wordOf(high)}` });
  box.addEventListener("input", () => {
    if (box.value !== "") slide.value = box.value;
    if (box.value !== "" || (nullable && !box.validity.badInput)) set(box.value === "" ? null : Number(box.value));
  });
  slide.addEventListener("input", () => {
    box.value = roundTo(Number(slide.value), decimals ?? 4);
    set(Number(box.value));
  });
  return el("div", { class: "number-field" }, slide, box, said === null ? null : el("small", {}, `${said}${nullable ? "; empty: missing" : ""}`));
}

/** A date, with a time where those of training have one; the file knows where most of these lie. */
function date(column, value, set, id) {
  const withTime = column.cycles.includes("day"), day = z => writeDate(BigInt(Math.round(column.loc + z * column.scale)) * BigInt(DAY)).slice(0, 10);
  const text = value === null ? "" : String(value);
  return [el("input", {
    id, type: withTime ? "datetime-local" : "date", value: withTime && text.length === 10 ? `${text}T00:00` : text.slice(0, withTime ? 16 : 10),
    oninput: event => (event.target.value || column.nullable) && set(event.target.value || null),
  }), el("small", {}, `most of training: ${day(-2)} to ${day(2)}${column.nullable ? "; empty: missing" : ""}`)];
}

/** A slider for each of a few numbers; a text of many. */
function vector(column, value, set, id) {
  const { dim, loc, scale, nullable } = column, own = value ?? loc;
  if (dim <= MOST_SLIDERS) {
    const now = [...own], round = Math.max(0, Math.min(12, 2 - Math.floor(Math.log10(Math.min(...scale)))));
    return el("div", { class: "vector" }, now.map((x, k) => number(roundTo(x, round), given => {
      now[k] = given;
      set([...now]);
    }, k ? `${id}-${k}` : id, { low: roundTo(loc[k] - SIGMAS * scale[k], round), high: roundTo(loc[k] + SIGMAS * scale[k], round), decimals: null, nullable: false, said: null, label: `number ${k + 1} of ${dim}` })));
  }
  const box = el("textarea", { id, rows: Math.min(5, Math.ceil(dim / 6)), spellcheck: "false" }, (value ?? []).map(x => roundTo(x, 4)).join(", "));
  box.addEventListener("input", () => {
    const parts = box.value.split(/[\s,;]+/).filter(Boolean);
    set(!parts.length && nullable ? null : parts.map(Number));
  });
  return [box, el("small", {}, `${dim} numbers${nullable ? "; empty: missing" : ""}`)];
}
