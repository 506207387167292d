// The bar that stays in sight with the sequence and its steps, and the captions that walk through the page.

import { hexOf } from "./controls.js";
import { stepWord, wordOf } from "./describe.js";
import { el, fill, svg } from "./elements.js";

const AROUND = 150;

/** The steps from where to where are shown: all, or those around the chosen one. */
export function windowOf(count, step, most = 2 * AROUND) {
  if (count <= most) return [0, count];
  const from = Math.max(0, Math.min(step - (most >> 1), count - most));
  return [from, from + most];
}

const MOST_SAID = 3, MOST_LETTERS = 48;

/** What the page is about, in large: the input, an arrow, and the sequence that it has become. */
export function headline({ model: { codec }, made, state }) {
  const given = codec.isUnconditional ? [el("span", {}, "nothing")] : codec.inputs.slice(0, MOST_SAID).map(({ field, column }) => {
    const value = state.inputs.get(field.name), hex = hexOf(field, column, value);
    return el("span", {}, codec.inputs.length > 1 ? `${field.name} ` : null, hex ? el("i", { class: "swatch", style: { background: hex } }) : wordOf(value));
  });
  const numbers = codec.columnNames.length === 1 ? made.columns.get(codec.columnNames[0]).filter(value => typeof value === "number") : [];
  return [el("p", { class: "given" }, given, codec.inputs.length > MOST_SAID ? el("span", {}, "…") : null), el("span", { class: "becomes", "aria-hidden": "true" }, "→"),
    numbers.length > 1 ? spark(numbers) : codec.schema.form === "text" ? el("p", { class: "made" }, cutText(made.value)) : stepLines(codec, made)];
}

function cutText(text) {
  const letters = Array.from(text);
  return text === "" ? "(empty)" : `${letters.slice(0, MOST_LETTERS).join("")}${letters.length > MOST_LETTERS ? " …" : ""}`;
}

function stepLines(codec, made) {
  const shown = Array.from({ length: Math.min(made.length, MOST_SAID) }, (_, t) => el("b", {}, stepWord({ codec }, made, t)));
  return el("p", { class: "made-steps" }, shown.length ? shown : "(no step)", made.length > MOST_SAID ? el("span", { class: "quiet" }, `and ${made.length - MOST_SAID} more`) : null);
}

function spark(values) {
  const low = Math.min(...values), wide = Math.max(...values) - low || 1, at = (x, t) => `${((200 * t) / (values.length - 1)).toFixed(1)} ${(50 - (46 * (x - low)) / wide).toFixed(1)}`;
  return svg("svg", { viewBox: "0 0 200 54", role: "img", "aria-label": `${values.length} numbers from ${wordOf(low)} to ${wordOf(low + wide)}` }, svg("path", { d: `M${values.map(at).join("L")}`, class: "line model" }));
}

/** The bar: a button for each step, and play, back, on. */
export function storyBar(app) {
  const chips = el("div", { class: "chips", role: "listbox", "aria-label": "steps of the sequence", tabindex: 0 });
  const play = el("button", { type: "button", class: "play", "aria-label": "play", onclick: () => app.play() }, "▶");
  const turn = (by, sign, label) => el("button", { type: "button", "aria-label": label, onclick: () => app.go(app.state.step + by) }, sign);
  chips.addEventListener("keydown", event => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined && event.key !== " ") return;
    event.preventDefault();
    if (event.key === " ") app.play();
    else app.go(app.state.step + by);
  });
  const bar = el("div", { class: "story", role: "region", "aria-label": "the sequence" }, el("div", { class: "transport" }, play, turn(-1, "‹", "one step back"), turn(1, "›", "one step on")), chips);
  let shown = null;
  const draw = () => {
    const { made, state, model } = app, [from, to] = windowOf(made.steps.length, state.step);
    play.textContent = app.playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", app.playing ? "pause" : "play");
    if (shown !== made || chips.dataset.from !== String(from)) {
      shown = made;
      chips.dataset.from = from;
      chips.classList.toggle("letters", model.codec.schema.form === "text");
      fill(chips, Array.from({ length: to - from }, (_, k) => {
        const t = from + k, end = made.steps[t].stop;
        return el("span", { class: end ? "chip end" : "chip", role: "option", id: `chip-${t}`, onclick: () => app.go(t), title: `step ${t}` },
          end ? "end" : stepWord(model, made, t));
      }), made.steps.length && !made.steps[made.steps.length - 1].stop && model.codec.stops ? el("span", { class: "quiet" }, made.ended ? "end" : "…") : null);
    }
    for (const chip of chips.querySelectorAll(".chip")) {
      const own = chip.id === `chip-${state.step}`;
      chip.setAttribute("aria-selected", own);
      if (own) {
        chips.setAttribute("aria-activedescendant", chip.id);
        chips.scrollTo({ left: chip.offsetLeft - chips.clientWidth / 2 });
      }
    }
  };
  return { bar, draw };
}

/** Eight captions: what to look at, where, and at which step. */
export const CAPTIONS = [
  ["input", 0, "This is the only thing the network is told.", "Whatever the sequence becomes, it comes from these fields and from luck. Change one, and all below changes."],
  ["one", 0, "The input becomes numbers.", "Each field has an embedding, a list of numbers. A matrix takes each into the context, one vector for the whole input."],
  ["one", 0, "One step of an LSTM turns the context into a memory.", "The gates i and g say what to store: c is the memory, and h is the part of it that shows. The forget gate has no part in it: there is nothing to forget yet."],
  ["two", 0, "The first step reads a start token.", "There is no step before it. The network reads a learned vector instead, together with its memory."],
  ["step", 0, "The memory gives a distribution.", "Every possible value gets a probability. A random number between 0 and 1, the uniform, falls on one of them: that is the value."],
  ["two", 1, "Each output is the next input.", "The second step reads what the first one gave, forgets a share of its memory (f), and stores something new (i and g). So one input becomes many steps."],
  ["step", -1, "Before each step the network may stop.", "The hazard is its probability to stop here. A uniform below the hazard ends the sequence; models of one length have none."],
  ["whatif", -1, "The luck is a list of numbers, so it can be kept.", "Below, another input meets the same uniforms. What differs then comes from the input alone."],
];

/** The panel of the captions, at the foot of the page. */
export function reader(app) {
  const title = el("b", {}), text = el("p", {}), count = el("span", { class: "quiet" });
  const close = el("button", { type: "button", class: "soft", onclick: () => app.set({ read: 0 }) }, "Close");
  const back = el("button", { type: "button", class: "soft", onclick: () => app.set({ read: app.state.read - 1 }) }, "Back");
  const next = el("button", { type: "button", class: "strong", onclick: () => app.set({ read: (app.state.read % CAPTIONS.length) + 1 === 1 ? 0 : app.state.read + 1 }) }, "Next");
  const panel = el("aside", { class: "reader", "aria-label": "guided reading", "aria-live": "polite" }, el("div", {}, count, title, text), el("div", { class: "buttons" }, back, next, close));
  let last = 0;
  const draw = () => {
    const { read } = app.state;
    panel.hidden = !read;
    document.querySelectorAll(".lit").forEach(node => node.classList.remove("lit"));
    if (!read) {
      last = 0;
      return;
    }
    const [place, , name, words] = CAPTIONS[read - 1];
    count.textContent = `${read} of ${CAPTIONS.length} `;
    title.textContent = name;
    text.textContent = words;
    back.disabled = read === 1;
    next.textContent = read === CAPTIONS.length ? "Done" : "Next";
    const node = document.getElementById(place);
    node?.classList.add("lit");
    if (read !== last) node?.scrollIntoView({ block: "start", behavior: "smooth" });
    last = read;
  };
  return { panel, draw };
}
