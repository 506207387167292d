"""The page that explains a model: self-contained, right in a real browser, and never misled by names."""

import base64
import json
import os
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import unspool as us
from unspool import modelfile
from unspool.errors import OptionError
from unspool.web.explain import PAGE, POLICY, RUNTIME, bundle

SHOWN = """
  const text = node => node && node.textContent.trim(), find = name => [...document.querySelectorAll(name)];
  const view = document.defaultView, app = view.unspool;
  return {
    title: text(document.querySelector("h1")), chips: find(".story .chip").map(text), sections: find("h2").map(text),
    columns: find(".column[aria-pressed]").length, error: text(document.querySelector(".error:not([hidden])")),
    wide: document.documentElement.scrollWidth, listed: find(".listing li").length,
    sampled: app?.model.generate({inputs: app.request().inputs, n: 64, seed: 0}).map(one => one.value),
    made: find("img, link, iframe").length, hacked: Boolean(view.hacked),
    unnamed: find("input, select, textarea").filter(node => !node.labels.length && !node.ariaLabel).length,
  };
"""


@pytest.fixture(scope="module")
def names(workshop):
    return us.load(workshop.names)


@pytest.fixture(scope="module")
def page(names):
    return names.explain(inputs={"country": "Irish"}).text


def test_every_module_is_in_the_page_and_none_binds_a_name_twice(tmp_path):
    modules = {item.name.removesuffix(".js") for item in files("unspool.web").iterdir() if item.name.endswith(".js")}
    assert modules == {*RUNTIME, *PAGE}
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node to check JavaScript with")
    (tmp_path / "page.mjs").write_text(bundle((*RUNTIME, *PAGE)), "utf-8")
    subprocess.run([node, "--check", tmp_path / "page.mjs"], check=True)


def test_the_page_asks_for_nothing_and_is_small(page):
    assert POLICY.startswith("default-src 'none'")
    assert POLICY in page
    (data,) = re.findall(r'id="model"[^>]*>([^<]*)<', page)
    assert base64.b64decode(data)[8:9] == b"{"
    assert len(page.encode()) - len(data) < 400_000


def test_the_page_shows_and_samples_the_sequences_that_python_generates(browser, page, names):
    sequences = [*names.generate({"country": ["Irish"]}, 64, seed=0)]
    made = sequences[1]  # which ends before the limit, and so at a step of its own
    second = """
      const opened = document.defaultView;
      opened.location.hash = "sample=1";
      opened.dispatchEvent(new opened.Event("hashchange"));
    """
    for width in (390, 1280):
        shown = browser(page, second + SHOWN, width)
        assert shown["sampled"] == sequences
        assert shown["chips"] == [*made, "end"]
        assert shown["columns"] == len(made) + 1
        assert shown["wide"] <= width
        assert (shown["error"], shown["unnamed"], shown["made"]) == (None, 0, 0)
    shown = browser(page, SHOWN)
    assert shown["sections"] == [
        "The input", "Phase one: the input becomes a state", "Phase two: the decoder unrolls", "One step",
        "Why this value?", "What if?", "Many", "Units",
    ]  # fmt: skip
    assert shown["listed"] > 0


def test_names_that_are_html_stay_text(browser, page, workshop, tmp_path):
    """The names of a schema and its values, and inputs to begin with."""
    evil = '</script><img src=x onerror="parent.hacked=window.hacked=1">'
    config, arrays = modelfile.read(workshop.names)
    text = json.dumps(config).replace('"country"', json.dumps(evil)).replace('"Irish"', json.dumps(evil + "2"))
    modelfile.write(tmp_path / "evil.unspool", arrays, json.loads(text))
    shown = browser(us.load(tmp_path / "evil.unspool").explain(inputs={evil: evil + "2"}).text, SHOWN)
    assert evil in shown["title"]
    assert (shown["hacked"], shown["made"], shown["error"]) == (False, 0, None)


def test_the_page_says_what_the_last_changes_of_numbers_add(browser, days):
    """Beside the step before, in the parts of a distribution's parameters."""
    script = """
      const app = document.defaultView.unspool, {model, made} = app;
      const find = (name, node = document) => [...node.querySelectorAll(name)], text = node => node.textContent;
      app.go(4);
      const followed = model.follow(made.request.encoded, made.encoded)[4].params[0];
      return {
        encoded: made.encoded, sentence: text(find("#slot-step .sentence")[0]),
        names: find("#slot-why thead th").map(text),
        rows: find("#slot-why tbody tr").map(row => find("td", row).map(text)),
        off: Math.max(...made.steps[4].chosen[0].params.map((x, k) => Math.abs(x - followed[k]))),
      };
    """
    shown = browser(us.load(days).explain(inputs={"kind": "a"}).text, script)
    names = ["bias", "previous step", "last change", "state"]
    assert shown["names"] == ["parameter", *names, "sum"]
    *parts, total = np.array([[cell.replace("\u2212", "-") for cell in row] for row in shown["rows"]], float).T
    assert np.allclose(sum(parts), total, atol=0.02)
    arrays = modelfile.read(days)[1]
    numbers = [0, 1, 3]  # the third field is a category, and behind the date are parts of the first one
    last, before = np.array([[shown["encoded"][j][t] for j in numbers] for t in (3, 2)], float)
    pairs = zip(numbers, last - before, strict=True)
    change = sum(by * arrays[f"changes.{j}"][32 : 32 + len(total)] for j, by in pairs if by == by)
    assert np.abs(change).max() > 0.05
    assert np.allclose(parts[2], change, rtol=6e-3, atol=1e-4)
    assert shown["off"] < 1e-6
    assert f"open {(last - before)[0]:+.2g}".replace("-", "\u2212") in shown["sentence"]


def test_numbers_on_the_page_are_those_of_python(browser, page, names):
    """The states, the stop, the distributions, what units add to them, and a link that holds a state of the page."""
    script = """
      const view = document.defaultView, use = [...view.unspool.use.values];
      const said = document.getElementById("slot-use").textContent;
      view.location.hash = 'i.country="Greek"&sample=3&step=2&t=0.5&force=["name","e"]&forceStep=1';
      view.dispatchEvent(new view.Event("hashchange"));
      const app = view.unspool, {made, model: {network}} = app, text = name => document.querySelector(name).textContent;
      const sum = part => part.reduce((all, x) => all + x, 0), last = made.steps[made.steps.length - 1];
      const first = made.steps[0], {state} = network.split(0, first.top, first.fed, null);
      app.drawBranches();
      const canvas = document.querySelector("#column-1 canvas"), box = canvas.getBoundingClientRect();
      const at = { bubbles: true, clientX: box.left + 3, clientY: box.top + 0.06 * box.height };
      canvas.dispatchEvent(new view.PointerEvent("pointermove", at));
      const tip = text(".tip"), before = app.state.step, third = text("#column-2[aria-pressed=true] .r8");
      canvas.dispatchEvent(new view.MouseEvent("click", at));
      return {
        tip, opened: [app.state.step, app.state.unit], gate: made.steps[1].layers[0].gates[8 + app.state.unit],
        equations: [...document.querySelectorAll("#step h3")].pop().textContent, use, said, value: made.value,
        forced: document.querySelectorAll(".branch")[1].querySelectorAll(".chip")[1].textContent,
        state: [before, document.getElementById("input-0").value, third],
        hidden: made.steps.map(step => [...step.layers[0].h]), ended: last.stop, params: [...first.chosen[0].params],
        units: Math.max(...state.map((x, k) => Math.abs(x - sum(network.unitParts(0, first.top, k))))),
        stop: last.hazard - sum(network.stopParts(last.top)) - network.read(last.fed) - network.stop[1][last.number],
      };
    """
    shown = browser(page, script)
    (python,) = names.generate({"country": ["Greek"]}, 4, seed=0, rule=us.Sampling(temperature=0.5))[3:]
    assert shown["value"] == python
    assert shown["state"] == [2, "Greek", python[2]]
    step, unit = shown["opened"]
    assert (step, shown["equations"]) == (1, f"The equations of unit {unit + 1}")
    assert 1 <= unit <= 6
    assert shown["tip"].startswith(f"f of unit {unit + 1} at step 1: {shown['gate']:.2g}"[:-1])
    (states,) = names.hidden_states({"country": ["Greek"], "name": [python]})
    assert len(shown["hidden"]) == len(python) + shown["ended"]
    assert np.allclose(shown["hidden"], states[: len(shown["hidden"])], atol=1e-5)
    (step,) = names.next_step({"country": "Greek"})
    known = np.array([step.probabilities["name"].get(value, 0) for value in names.codec_.steps[0].values])
    shares = np.exp(shown["params"] - np.max(shown["params"]))
    assert np.allclose((shares / shares.sum())[: len(known)], known, atol=1e-5)
    assert max(shown["units"], abs(shown["stop"])) < 1e-9
    p, q = names.next_step({"country": ["Irish", "Greek"]})
    ours, theirs = p.probabilities["name"], q.probabilities["name"]
    parts = [ours[value] * np.log(ours[value] / theirs[value]) for value in ours]
    parts += [a * np.log(a / b) for a, b in ((p.end, q.end), (1 - p.end, 1 - q.end))]
    assert shown["use"][0] == pytest.approx(sum(parts), rel=1e-3, abs=1e-6)
    assert re.match(r"(Most at step \d+|Hardly anywhere)\. ", shown["said"])
    assert shown["forced"] == "e"


def axe():
    """The script of axe-core, where npm has installed it for all, or `AXE_CORE` names its folder."""
    npm = shutil.which("npm")
    root = subprocess.check_output([npm, "root", "-g"], text=True).strip() if npm else ""
    path = Path(os.environ.get("AXE_CORE", f"{root}/axe-core"), "axe.min.js")
    if not path.is_file():
        pytest.skip("there is no axe-core to check pages with: npm install -g axe-core")
    return path.read_text("utf-8").replace("</script", "<\\/script")


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1600])
@pytest.mark.parametrize("kind", ["names", "days"])
def test_axe_finds_no_violation(page, days, chromium, tmp_path, kind, width):
    if kind == "days":
        page = us.load(days).explain(inputs={"kind": "a"}).text
    check = """setTimeout(async () => {
      const found = await axe.run();
      document.body.dataset.found = found.violations.map(one => one.id).join() || "nothing";
    }, 3000)"""
    free = re.sub(r"<meta http-equiv[^>]*>", "", page)  # the page's policy lets no other script run
    checked = free.replace("</body>", f"<script>{axe()}</script><script>{check}</script></body>")
    (tmp_path / "page.html").write_text(checked, "utf-8")
    options = "--virtual-time-budget=60000", f"--window-size={width},2000"
    dom = chromium(tmp_path / "page.html", *options, timeout=120)
    assert re.findall(r'data-found="([^"]*)"', dom) == ["nothing"]


def test_a_damaged_model_in_the_page_is_an_error_that_a_person_reads(browser, page):
    shown = browser(re.sub(r'(id="model"[^>]*>)', r"\1AAAA", page), SHOWN)
    assert "the model in this page: expected" in shown["error"]


def test_explain_writes_a_page_and_refuses_other_inputs(names, tmp_path):
    names.explain(tmp_path / "page.html", {"country": np.str_("Greek")})
    assert '{"inputs": {"country": "Greek"}}' in (tmp_path / "page.html").read_text("utf-8")
    for given, words in (
        ({"county": 1}, "'county'"),
        ([1], "{name: value}"),
        ({"country": object()}, "texts, numbers"),
    ):
        with pytest.raises(OptionError, match=re.escape(words)):
            names.explain(inputs=given)
    with pytest.raises(OptionError, match=r"ends in \.html"):
        names.explain(tmp_path / "page.txt")


def test_a_notebook_shows_the_page_in_a_frame(names):
    assert names.explain()._repr_html_().startswith('<iframe srcdoc="&lt;!doctype html&gt;')
