// The state of the page, which its address holds.

import { firstOther } from "./branches.js";
import { firstValue } from "./form.js";

/** The column and the value that an address forces; null where it forces none. */
function forcedIn(text) {
  try {
    const found = JSON.parse(text);
    return Array.isArray(found) && found.length === 2 && typeof found[0] === "string" ? found : null;
  } catch {
    return null;
  }
}

/** The state that the address holds, or the first one. */
export function firstState(model, start) {
  const given = new URLSearchParams(location.hash.slice(1)), number = (name, preset) => (given.has(name) && Number.isFinite(Number(given.get(name))) ? Number(given.get(name)) : preset);
  const inputs = new Map(model.codec.inputs.map(input => [input.field.name, firstValue(input)]));
  for (const [name, value] of Object.entries(start.inputs ?? {})) if (inputs.has(name)) inputs.set(name, value);
  const read = (prefix, map) => {
    for (const name of map.keys()) {
      try {
        if (given.has(prefix + name)) map.set(name, JSON.parse(given.get(prefix + name)));
      } catch { /* an address that was cut holds no value here */ }
    }
    return map;
  };
  read("i.", inputs);
  return {
    inputs, other: read("o.", firstOther(model, inputs)), seed: /^\d+$/.test(given.get("seed") ?? "") ? given.get("seed") : "0",
    sample: number("sample", 0), greedy: given.get("greedy") === "1", temperature: number("t", 1), topP: number("p", 1), otherTemperature: number("ot", number("t", 1)),
    step: number("step", 0), unit: number("unit", 0), layer: number("layer", 0), field: number("field", 0),
    otherGreedy: given.get("og") === "1", force: forcedIn(given.get("force")), forceStep: number("forceStep", 0), read: number("read", 0), pattern: new Set(),
  };
}

/** The address that holds a state. */
export function addressOf(state) {
  const given = new URLSearchParams();
  for (const [name, value] of state.inputs) given.set(`i.${name}`, JSON.stringify(value));
  for (const [name, value] of state.other) given.set(`o.${name}`, JSON.stringify(value));
  for (const name of ["seed", "sample", "step", "unit"]) given.set(name, state[name]);
  if (state.temperature !== 1) given.set("t", state.temperature);
  if (state.topP !== 1) given.set("p", state.topP);
  if (state.otherTemperature !== state.temperature) given.set("ot", state.otherTemperature);
  if (state.greedy) given.set("greedy", "1");
  if (state.otherGreedy) given.set("og", "1");
  for (const name of ["layer", "field", "read"]) if (state[name]) given.set(name, state[name]);
  if (state.force) given.set("force", JSON.stringify(state.force));
  if (state.forceStep) given.set("forceStep", state.forceStep);
  return "#" + given;
}
