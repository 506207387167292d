// The page: reads the model in it, keeps the state in the address, and draws again what a change concerns.

import { branchRows, otherRequest, whatIf } from "./branches.js";
import { numberWord, stepWord, wordOf } from "./describe.js";
import { el, fill, forgetColours, later, section } from "./elements.js";
import { inputForm, luckForm, otherValues } from "./form.js";
import { readModel } from "./generate.js";
import { inputUse, inputUseView } from "./influence.js";
import { MANY, manyView } from "./many.js";
import { NEAR_STEPS, fillColumns, markColumn, phaseOne, phaseTwo, stepDetail } from "./phases.js";
import { whyValue } from "./reasons.js";
import { addressOf, firstState } from "./state.js";
import { CAPTIONS, headline, reader, storyBar } from "./story.js";
import { followers, trajectories, unitStatistics, unitTrack } from "./units.js";

const PLAY_MS = 650, MOST_SHOWN_STEPS = 5000, MOST_PATH = 300, PIECE_MS = 24;

function bytesOf(text) {
  const raw = atob(text.replace(/\s/g, "")), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

class App {
  constructor(model, start) {
    this.model = model;
    this.state = firstState(model, start);
    this.most = Math.min(MOST_SHOWN_STEPS, model.codec.stops ? model.codec.limit || model.codec.mostSteps : model.codec.longest);
    this.playing = 0;
    this.keepAddress = later(150, () => {
      try {
        history.replaceState(null, "", addressOf(this.state));
      } catch { /* a frame without an address of its own */ }
    });
    this.laterParts = later(120, () => this.drawSlowly());
  }

  rule() {
    const { greedy, temperature, topP } = this.state;
    return greedy ? { greedy } : { greedy, temperature: temperature === 1 ? null : temperature, top_p: topP < 1 ? topP : null };
  }

  request() {
    const { state, model } = this, limit = this.most === model.codec.limit ? null : this.most;
    return {
      inputs: Object.fromEntries(state.inputs), seed: state.seed, first: state.sample,
      rule: state.greedy ? { greedy: true, limit } : { temperature: state.temperature, top_p: state.topP < 1 ? state.topP : null, limit },
      length: model.codec.stops ? null : this.most,
    };
  }

  /** Change the state, and draw what that concerns. */
  set(changes, concerns = null) {
    Object.assign(this.state, changes);
    this.keepAddress();
    const names = Object.keys(changes);
    if (concerns === "branch") return this.drawBranches();
    if (names.every(name => name === "read")) return this.read();
    if (names.every(name => ["unit", "layer", "field"].includes(name))) return this.drawParts();
    return this.compute();
  }

  go(step) {
    this.state.step = Math.max(0, Math.min(this.made.steps.length - 1, step));
    this.keepAddress();
    this.drawStep();
  }

  play() {
    clearInterval(this.playing);
    this.playing = this.playing ? 0 : setInterval(() => {
      if (this.state.step + 1 >= this.made.steps.length) return this.play();
      this.go(this.state.step + 1);
    }, PLAY_MS);
    if (this.playing && this.state.step + 1 >= this.made.steps.length) this.go(0);
    this.story.draw();
  }

  togglePattern(t) {
    const { pattern } = this.state;
    if (!pattern.delete(t)) pattern.add(t);
    fill(this.slots.followers, followers(this));
    document.querySelectorAll(".unit-chips .chip").forEach((chip, k) => chip.setAttribute("aria-pressed", pattern.has(k)));
  }

  read() {
    const [, step] = CAPTIONS[this.state.read - 1] ?? [];
    if (this.state.read) this.go(step < 0 ? this.made.steps.length - 1 : step);
    this.reader.draw();
  }

  compute() {
    const { model, slots } = this;
    try {
      const [made] = model.generate({ ...this.request(), n: 1, trace: true });
      this.made = made;
      slots.error.hidden = true;
    } catch (error) {
      if (error.name !== "Refused") throw error;
      slots.error.hidden = false;
      slots.error.textContent = error.message;
      if (!this.made) throw error;
      return;
    }
    this.state.step = Math.min(this.state.step, this.made.steps.length - 1);
    this.state.pattern.clear();
    this.drawParts();
    this.laterParts();
  }

  drawParts() {
    const { slots } = this;
    fill(slots.headline, headline(this));
    fill(slots.one, phaseOne(this));
    this.drawStep(true);
    fill(slots.track, unitTrack(this));
    fill(slots.followers, followers(this));
    if (this.many) fill(slots.statistics, unitStatistics(this, this.traced));
  }

  drawStep(all = false) {
    const { slots, state } = this, shown = slots.two.querySelector(`#column-${state.step}`);
    if (all || !shown) fill(slots.two, phaseTwo(this));
    fillColumns(this, state.step - NEAR_STEPS, state.step + NEAR_STEPS);
    markColumn(state);
    if (this.use !== undefined && !all) fill(slots.use, inputUseView(this));
    fill(slots.step, stepDetail(this));
    fill(slots.why, whyValue(this));
    this.story.draw();
  }

  drawBranches() {
    const box = document.getElementById("branches");
    try {
      const [other] = this.model.generate({ ...otherRequest(this), n: 1 });
      fill(box, branchRows(this, other));
    } catch (error) {
      if (error.name !== "Refused") throw error;
      fill(box, el("p", { class: "error" }, error.message));
    }
  }

  /** What takes longer than a moment: piece by piece, and given up when something else is asked for. */
  async drawSlowly() {
    const ticket = (this.ticket = {}), { slots } = this;
    let began = performance.now();
    /** Let the browser draw and listen, if it is time; whether this is still what is asked for. */
    const pause = async () => {
      if (performance.now() - began > PIECE_MS) {
        await new Promise(done => setTimeout(done));
        began = performance.now();
      }
      return this.ticket === ticket;
    };
    for (const { t } of this.columns) {
      if (!(await pause())) return;
      fillColumns(this, t, t);
    }
    this.drawBranches();
    const use = await inputUse(this, pause);
    if (!(await pause())) return;
    this.use = use;
    fill(slots.use, inputUseView(this));
    const many = await this.sampleMany(pause);
    if (!many) return;
    fill(slots.many, manyView(this, this.many));
    fill(slots.statistics, unitStatistics(this, this.traced));
    if (await pause()) fill(slots.paths, trajectories(this.pathsOfInputs()));
  }

  /** Many sequences of this input, the first ones with their steps; whether they are still what is asked for. */
  async sampleMany(pause) {
    const { model } = this, made = [], traced = [], request = this.request(), few = this.made.steps.length > 300 ? 20 : MANY;
    const tracedSteps = Math.max(400, Math.min(4000, 2e6 / model.network.size));
    for (let kept = 0; made.length < few;) {
      if (!(await pause())) return false;
      const [one] = model.generate({ ...request, first: made.length, n: 1, trace: kept < tracedSteps });
      if (one.steps.length) traced.push(one);
      kept += one.steps.length;
      made.push(one);
    }
    Object.assign(this, { many: made, traced });
    return true;
  }

  /** The states of this sequence and of those under a few other values of the first input, by name. */
  pathsOfInputs() {
    const { model, state } = this, first = model.codec.inputs[0], name = first.field.name, top = model.network.layers - 1;
    const others = model.codec.isUnconditional ? [] : otherValues(first, state.inputs.get(name)).slice(0, 4);
    const paths = [{ label: model.codec.isUnconditional ? "this sequence" : wordOf(state.inputs.get(name)), made: this.made }];
    for (const value of others) {
      const inputs = Object.fromEntries(new Map([...state.inputs, [name, value]]));
      paths.push({ label: wordOf(value), made: model.generate({ ...this.request(), inputs, n: 1, trace: true })[0] });
    }
    return paths.map(({ label, made }) => {
      const steps = made.steps.slice(0, MOST_PATH);
      return { label, states: [made.phase.states[top].h, ...steps.map(step => step.layers[top].h)], words: steps.map((_, t) => (t ? stepWord(model, made, t - 1) : "START")) };
    });
  }
}

function titleOf(codec) {
  const list = names => {
    const shown = names.length > 3 ? [...names.slice(0, 2), `${names.length - 2} more`] : names;
    return shown.length > 1 ? `${shown.slice(0, -1).join(", ")} and ${shown[shown.length - 1]}` : shown[0];
  };
  const from = codec.isUnconditional ? "nothing" : list(codec.inputs.map(({ field }) => field.name));
  return [from, codec.schema.form === "text" ? codec.steps[0].field.name : list(codec.columnNames)];
}

const CONTENTS = { input: "Input", one: "Phase one", two: "Phase two", step: "One step", why: "Why this value?", whatif: "What if?", many: "Many", units: "Units" };

/** The list of the sections; no links, because the address holds the state. */
function contents() {
  const show = id => {
    const title = document.getElementById(`${id}-title`);
    title.tabIndex = -1;
    title.focus({ preventScroll: true });
    document.getElementById(id).scrollIntoView({ behavior: "smooth" });
  };
  return el("nav", { class: "contents", "aria-label": "sections" }, Object.entries(CONTENTS).map(([id, name]) => el("button", { type: "button", onclick: () => show(id) }, name)));
}

function build(model, start, root) {
  const app = new App(model, start), { codec, network, config } = model, slots = (app.slots = {}), slot = (name, tag = "div") => (slots[name] = el(tag, { id: `slot-${name}` }));
  const [from, to] = titleOf(codec), weights = config.summary.weights ?? 0;
  app.story = storyBar(app);
  app.reader = reader(app);
  slots.headline = el("div", { id: "slot-headline", "aria-live": "polite" });
  slots.error = el("p", { class: "error", role: "alert", hidden: true });
  document.title = `From ${from} to ${to}`;
  fill(root,
    el("header", {}, el("div", {}, el("p", { class: "eyebrow" }, "A one-to-many LSTM, at work"),
      el("h1", {}, `How ${codec.isUnconditional ? "" : codec.inputs.length > 1 ? "one row of " : "one "}`, el("em", {}, from), " becomes a sequence of ", el("em", {}, to)),
      el("p", { class: "lead" }, `This page is the model itself: ${network.layers} layer${network.layers > 1 ? "s" : ""} of ${network.size} hidden units, ${weights.toLocaleString("en")} weights, learned from ${codec.examples.toLocaleString("en")} sequences (${numberWord(config.summary.nats ?? NaN, 4)} nats a step). Everything below is computed here while you look, ${model.rounded ? "with weights rounded to 16 bits, so that a value may now and then differ from what Unspool computes in Python" : "with the numbers that Unspool computes in Python"}.`),
      el("p", {}, el("button", { type: "button", class: "strong", onclick: () => app.set({ read: 1 }) }, "Read it with me: eight captions"))), slots.headline),
    contents(),
    section("input", "The input", "One row of values, known before anything is generated. The seed and the number of the sample are the luck.",
      inputForm(model, app.state.inputs, (name, value) => {
        app.state.inputs.set(name, value);
        app.set({ inputs: app.state.inputs });
      }, "input"), luckForm(app.state, changes => app.set(changes)), slots.error),
    app.story.bar,
    section("one", "Phase one: the input becomes a state", "Every strip is a list of numbers, one cell each: blue above zero, orange below. Point at a cell, or use the arrow keys, to read it.", slot("one")),
    section("two", "Phase two: the decoder unrolls", "One column is one step, from left to right. The units lie on top of each other; point at one for its number, click it to open it. Every column reads what the one before it gave" + (network.changes.some(Boolean) ? ", and how its numbers have changed." : "."), slot("two")),
    section("step", "One step", "The step that is chosen above, in full: whether the sequence ends, what could come, and where the uniforms fell.", slot("step")),
    section("why", "Why this value?", "The parameters of a distribution are a sum, so they can be taken apart exactly.", slot("why"), el("h3", {}, "How far does the input still decide?"), slot("use")),
    section("whatif", "What if?", "Another branch with the same luck: change its input, its temperature, or force a value.", whatIf(app)),
    section("many", "Many", `${MANY} sequences of this input, with the numbers 0 to ${MANY - 1} of this seed.`, slot("many")),
    section("units", "Units", "What single numbers of the state do.", slot("track"), slot("followers"), slot("statistics"), el("h3", {}, "Paths of the state"), el("p", { class: "quiet" }, "All of h, seen in the two directions in which it moves most. A large dot is the state that the input gave; each other one is named by what it has just read."), slot("paths")),
    el("footer", {}, el("p", { class: "quiet" }, "Made by Unspool. This page asks nothing of any server; a link to it holds its state.")), app.reader.panel);
  app.compute();
  app.read();
  return app;
}

const root = document.getElementById("page");
try {
  const data = document.getElementById("model"), model = readModel(bytesOf(data.textContent), "the model in this page", data.dataset.weights);
  model.rounded = data.dataset.weights === "F16";
  const start = JSON.parse(document.getElementById("start").textContent);
  globalThis.unspool = build(model, start, root);
  addEventListener("hashchange", () => {
    clearInterval(globalThis.unspool.playing);
    globalThis.unspool.ticket = null;
    globalThis.unspool = build(model, start, root);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    forgetColours();
    globalThis.unspool.drawParts();
  });
} catch (error) {
  fill(root, el("h1", {}, "This page can't show its model"), el("p", { class: "error", role: "alert" }, error.message));
  if (error.name !== "Refused") throw error;
}
