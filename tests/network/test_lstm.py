"""The LSTM is the LSTM of the literature, in values and in gradients, whichever way it is run."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from unspool.network import lstm
from unspool.runtime.programs import CPU_OPTIONS, GENERATION_OPTIONS

pytestmark = pytest.mark.usefixtures("float64")
T, B, H = 6, 3, 4
KEEP = 0.75
SWAPS = list(itertools.combinations(range(4), 2))


def case(seed=0):
    """Random asymmetric weights, pre-activations and initial states; and cotangents of all that comes out."""
    rng = np.random.default_rng(seed)
    R, x, constant = (rng.normal(0, 0.7, (*rows, 4 * H)) for rows in ((H,), (T, B), (B,)))
    h0, c0 = rng.normal(0, 0.5, (B, H)), rng.normal(0, 0.8, (B, H))
    mask = rng.integers(0, 2, (B, H)) / KEEP
    return (R, x, constant, h0, c0), mask, (rng.normal(size=(T, B, H)), rng.normal(size=(B, H)))


# ---- the reference: plain NumPy, one matrix a gate, one loop forwards and one backwards -----------------------------


def by_gate(a):
    """The four parts of a last axis, by name: the order is written here a second time, on purpose."""
    return dict(zip(("input", "forget", "candidate", "output"), np.split(a, 4, -1), strict=True))


def logistic(a):
    return 1 / (1 + np.exp(-a))


def reference(R, x, constant, h0, c0, mask):
    """Hidden states, last cell state, and all that the walk back needs."""
    R, constant = by_gate(R), by_gate(constant)
    h, c, hs, memory = h0, c0, [], []
    for x_t in map(by_gate, x):
        read = h * mask
        z = {gate: x_t[gate] + constant[gate] + read @ R[gate] for gate in R}
        i, f, o = logistic(z["input"]), logistic(z["forget"]), logistic(z["output"])
        g = np.tanh(z["candidate"])
        old, c = c, f * c + i * g
        h = o * np.tanh(c)
        hs.append(h)
        memory.append((read, old, c, i, f, g, o))
    return np.stack(hs), c, memory


def reference_gradients(R, x, constant, h0, c0, mask, dhs, dc_last):
    """Back-propagation through time, gate by gate: gradients of R, x, constant, h0, c0."""
    _, _, memory = reference(R, x, constant, h0, c0, mask)
    R = by_gate(R)
    dR = {gate: np.zeros((H, H)) for gate in R}
    dx = np.zeros_like(x)
    dh, dc = np.zeros_like(h0), dc_last
    for t in reversed(range(len(x))):
        read, old, c, i, f, g, o = memory[t]
        dh = dh + dhs[t]
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        dz = {
            "input": dc * g * i * (1 - i),
            "forget": dc * old * f * (1 - f),
            "candidate": dc * i * (1 - g**2),
            "output": dh * np.tanh(c) * o * (1 - o),
        }
        for gate, d in dz.items():
            dR[gate] += read.T @ d
        dx[t] = np.concatenate([dz[gate] for gate in R], -1)
        dh = sum(d @ R[gate].T for gate, d in dz.items()) * mask
        dc = dc * f
    return np.concatenate([dR[gate] for gate in R], -1), dx, dx.sum(0), dh, dc


def unrolled(R, x, *rest):
    """`unroll` of pre-activations that are one array, and its gradients with respect to that."""
    return lstm.unroll(R, (x,), *rest)


def assert_parity(unroll, mask=None):
    """Raise unless `unroll` gives the reference's values and gradients to 1e-10."""
    arguments, _, cotangents = case()
    ones = np.ones((B, H)) if mask is None else mask
    hs, c, _ = reference(*arguments, ones)
    (own_hs, own_c), pull = jax.vjp(lambda *a: unroll(*a, mask), *map(jnp.asarray, arguments))
    np.testing.assert_allclose(own_hs, hs, rtol=0, atol=1e-10)
    np.testing.assert_allclose(own_c, c, rtol=0, atol=1e-10)
    expected = reference_gradients(*arguments, ones, *cotangents)
    for name, own, gradient in zip(("R", "x", "constant", "h0", "c0"), pull(cotangents), expected, strict=True):
        np.testing.assert_allclose(own, gradient, rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("dropped", [False, True])
def test_values_and_gradients_are_those_of_plain_numpy(dropped):
    """To 1e-10, with dropout and without, for every argument, the last cell state's cotangent included."""
    assert_parity(unrolled, case()[1] if dropped else None)


def test_the_reference_gradient_is_the_slope_of_the_reference():
    """Central differences in float64 of the plain loop; so that two agreeing gradients can't both be wrong."""
    arguments, mask, (dhs, dc) = case()
    rng = np.random.default_rng(1)
    directions = [rng.normal(size=a.shape) for a in arguments]

    def along(e):
        hs, c, _ = reference(*(a + e * d for a, d in zip(arguments, directions, strict=True)), mask)
        return (hs * dhs).sum() + (c * dc).sum()

    slope = (along(1e-5) - along(-1e-5)) / 2e-5
    gradients = reference_gradients(*arguments, mask, dhs, dc)
    assert sum((g * d).sum() for g, d in zip(gradients, directions, strict=True)) == pytest.approx(slope, rel=1e-7)


# ---- the second reference: ONNX Runtime ----------------------------------------------------------------------------


def to_onnx(a):
    """Our last axis as ONNX Runtime's first one: its gates are i, o, f, c."""
    part = dict(zip(lstm.GATES, np.split(a, 4, -1), strict=True))
    return np.concatenate([part[gate] for gate in "iofg"], -1).T[None].astype(np.float32)


@pytest.fixture(scope="module")
def onnx_lstm():
    """ONNX Runtime's operator as a function of (inputs, W, R, b, h0, c0) in our gate order."""
    names = ["X", "W", "R", "B", "", "h", "c"]
    node = helper.make_node("LSTM", names, ["Y", "Y_h", "Y_c"], hidden_size=H)

    def value(name, rank):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)

    inputs = [value(name, 2 if name == "B" else 3) for name in names if name]
    graph = helper.make_graph([node], "lstm", inputs, [value("Y", 4), value("Y_c", 3)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def run(X, W, R, b, h0, c0):
        bias = np.concatenate([to_onnx(b[None])[..., 0], np.zeros((1, 4 * H), np.float32)], -1)
        feed = {"X": X, "W": to_onnx(W), "R": to_onnx(R), "B": bias, "h": h0[None], "c": c0[None]}
        hs, c = session.run(None, {name: a.astype(np.float32) for name, a in feed.items()})
        return hs[:, 0].astype(np.float64), c[0].astype(np.float64)

    return run


def onnx_case():
    """The case with what makes pre-activations: inputs of width 3, their weights, a bias."""
    (R, _, _, h0, c0), _, cotangents = case(2)
    rng = np.random.default_rng(3)
    X, W, b = rng.normal(size=(T, B, 3)), rng.normal(size=(3, 4 * H)), rng.normal(size=4 * H)
    return (X, W, R, b, h0, c0), cotangents


def ours(X, W, R, b, h0, c0):
    return lstm.unroll(R, (X @ W,), jnp.broadcast_to(b, (B, 4 * H)), h0, c0)


def assert_onnx_parity(onnx_lstm):
    """Raise unless our float32 values are those of ONNX Runtime to 1e-5."""
    arguments, _ = onnx_case()
    for own, other in zip(ours(*(jnp.float32(a) for a in arguments)), onnx_lstm(*arguments), strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-5)


def test_values_are_those_of_onnx_runtime(onnx_lstm):
    """An independent implementation, in float32; its gate order is i, o, f, c."""
    assert_onnx_parity(onnx_lstm)


def test_gradients_are_the_slopes_of_onnx_runtime(onnx_lstm):
    """Directional derivatives, one a weight, by Richardson-extrapolated central differences of its values.

    The operator has no gradient, and its CPU kernel computes in float32 only. The step of 2**-5 leaves a truncation of
    order step**4, 1e-6; the rounding of T B H values of 6e-8, divided by the step, gives 3e-5 at five standard errors.
    The slopes are of order 1 to 10, so 1e-3 is far above the noise and far below any wrong term.
    """
    arguments, (dhs, dc) = onnx_case()
    gradients = jax.vjp(ours, *map(jnp.asarray, arguments))[1]((dhs, dc))
    rng = np.random.default_rng(4)
    for which, gradient in enumerate(gradients):
        direction = rng.normal(size=gradient.shape)
        direction /= np.linalg.norm(direction)

        def along(e, which=which, direction=direction):
            moved = [a + e * direction if k == which else a for k, a in enumerate(arguments)]
            hs, c = onnx_lstm(*moved)
            return (hs * dhs).sum() + (c * dc).sum()

        fine, coarse = ((along(e) - along(-e)) / (2 * e) for e in (2**-5, 2**-4))
        slope = (4 * fine - coarse) / 3
        assert (gradient * direction).sum() == pytest.approx(slope, abs=1e-3)


# ---- the checks above can see a mistake ----------------------------------------------------------------------------


def swapped(parts, pair):
    parts = list(parts)
    a, b = pair
    parts[a], parts[b] = parts[b], parts[a]
    return parts


@pytest.mark.parametrize("pair", SWAPS)
def test_two_swapped_gates_fail_the_checks(monkeypatch, onnx_lstm, pair):
    """Every one of the six swaps of pre-activations fails both parity checks."""
    right = lstm.activate
    monkeypatch.setattr(lstm, "activate", lambda z: right(jnp.concatenate(swapped(jnp.split(z, 4, -1), pair), -1)))
    with pytest.raises(AssertionError):
        assert_parity(unrolled)
    with pytest.raises(AssertionError):
        assert_onnx_parity(onnx_lstm)


@pytest.mark.parametrize("pair", SWAPS)
def test_two_swapped_gates_in_the_backward_pass_fail_the_check(pair):
    """The values are right then; the gradients are not, and the check sees it."""

    def backward(saved, cotangents):
        dR, (dx,), dconstant, *rest = lstm.unroll_backward(saved, cotangents)
        dR, dx, dconstant = (jnp.concatenate(swapped(jnp.split(d, 4, -1), pair), -1) for d in (dR, dx, dconstant))
        return dR, (dx,), dconstant, *rest

    mutant = jax.custom_vjp(lambda *a: lstm.unroll_forward(*a)[0])
    mutant.defvjp(lstm.unroll_forward, backward)
    with pytest.raises(AssertionError, match="R"):
        assert_parity(lambda R, x, *rest: mutant(R, (x,), *rest))


# ---- the ways to run it agree --------------------------------------------------------------------------------------


def plain(R, x, constant, h0, c0, mask):
    """The recurrence as a scan that JAX differentiates by itself."""

    def advance(state, x_t):
        h, c = state
        i, f, g, o = jnp.split(x_t + constant + (h if mask is None else h * mask) @ R, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    (_, c), hs = jax.lax.scan(advance, (h0, c0), x)
    return hs, c


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("which", ["states", "last cell", "both"])
def test_the_backward_pass_by_hand_is_automatic_differentiation(dropped, which):
    """Each of the two cotangents alone, and both."""
    arguments, mask, (dhs, dc) = case(5)
    mask = mask if dropped else None
    cotangents = (dhs * (which != "last cell"), dc * (which != "states"))
    pulls = [jax.vjp(lambda *a, f=f: f(*a, mask), *map(jnp.asarray, arguments)) for f in (unrolled, plain)]
    for own, expected in zip(pulls[0][1](cotangents), pulls[1][1](cotangents), strict=True):
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dropped", [False, True])
def test_products_of_bfloat16_are_those_of_its_rounded_terms(dropped):
    """Values, and gradients in the precision of what they belong to: all is near, and nothing is the same."""
    arguments, mask, cotangents = case(5)
    R, *rest = map(jnp.asarray, arguments)
    mask = jnp.asarray(mask) if dropped else None
    R = R.astype(jnp.bfloat16).astype(R.dtype)  # so that the weights themselves are the same
    results = [jax.vjp(lambda *a: unrolled(*a, mask), weights, *rest) for weights in (R, R.astype(jnp.bfloat16))]
    (exact, pull), (own, own_pull) = results
    gradients, own_gradients = pull(cotangents), own_pull(cotangents)
    assert own_gradients[0].dtype == jnp.bfloat16
    for found, expected in zip((*own, *own_gradients), (*exact, *gradients), strict=True):
        off = np.abs(np.asarray(found, float) - np.asarray(expected)).max() / np.abs(np.asarray(expected)).max()
        assert 1e-5 < off < 0.02
    single = unrolled(R.astype(jnp.bfloat16), *(a[:1] if a.ndim == 3 else a for a in rest), mask)
    first = rest[0][0] + rest[1] + rounded(rest[2] if mask is None else rest[2] * mask) @ R
    np.testing.assert_allclose(single[0][0], lstm.step(first, rest[3])[0], rtol=0, atol=1e-12)


def rounded(x):
    return x.astype(jnp.bfloat16).astype(x.dtype)


@pytest.mark.parametrize("dense", [False, True])
def test_rows_gathered_in_the_loop_are_rows_written_down_before_it(dense):
    """Values and all gradients, of two tables whose rows occur often or never, with an array beside them or not."""
    (R, x, constant, h0, c0), mask, cotangents = case(8)
    rng = np.random.default_rng(9)
    tables = [jnp.asarray(rng.normal(size=(V, 4 * H))) for V in (3, 7)]
    index = [jnp.asarray(rng.integers(0, len(table), (T, B)), jnp.int32) for table in tables]
    array = jnp.asarray(x * dense)

    def gathered(R, array, tables, *rest):
        parts = tuple(lstm.Gathered(table, at) for table, at in zip(tables, index, strict=True))
        return lstm.unroll(R, ((array,) if dense else ()) + parts, *rest, mask)

    def written(R, array, tables, *rest):
        return plain(R, array + sum(table[at] for table, at in zip(tables, index, strict=True)), *rest, mask)

    arguments = (jnp.asarray(R), array, tables, *map(jnp.asarray, (constant, h0, c0)))
    (own, own_pull), (expected, pull) = (jax.vjp(f, *arguments) for f in (gathered, written))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)  # noqa: E731
    jax.tree.map(close, own, expected)
    own_gradients, gradients = own_pull(cotangents), pull(cotangents)
    if not dense:
        own_gradients, gradients = own_gradients[:1] + own_gradients[2:], gradients[:1] + gradients[2:]
    jax.tree.map(close, own_gradients, gradients)


def test_gradients_pass_through_jit_and_vmap():
    """What compilation and batching make of the custom backward is what it is without them."""
    arguments, mask, _ = case(6)
    x, constant, h0 = map(jnp.asarray, arguments[1:4])

    def loss(R, c0):
        return unrolled(R, x, constant, h0, c0, mask)[0].sum()

    gradient = jax.grad(loss, (0, 1))
    many = [jnp.stack([a, 0.5 * a]) for a in (arguments[0], arguments[4])]
    together = jax.jit(jax.vmap(gradient))(*many)
    for k in range(2):
        for own, alone in zip(together, gradient(*(a[k] for a in many)), strict=True):
            np.testing.assert_allclose(own[k], alone, rtol=0, atol=1e-12)


def test_a_whole_sequence_is_its_steps_one_by_one():
    """`unroll` and `step` are one recurrence, and a sequence can be cut anywhere."""
    R, x, constant, h0, c0 = map(jnp.asarray, case(7)[0])
    hs, last = unrolled(R, x, constant, h0, c0)
    h, c = h0, c0
    for t in range(T):
        h, c, _ = lstm.step(x[t] + constant + h @ R, c)
        np.testing.assert_allclose(hs[t], h, rtol=0, atol=1e-12)
    np.testing.assert_allclose(last, c, rtol=0, atol=1e-12)
    first, middle = unrolled(R, x[:2], constant, h0, c0)
    second, end = unrolled(R, x[2:], constant, first[-1], middle)
    np.testing.assert_allclose(jnp.concatenate([first, second]), hs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(end, last, rtol=0, atol=1e-12)


# ---- where it starts -----------------------------------------------------------------------------------------------


def test_the_forget_gate_alone_starts_with_a_bias_of_one():
    assert {g: set(np.unique(b)) for g, b in by_gate(np.asarray(lstm.initial_bias(5))).items()} == {
        "input": {0.0},
        "forget": {1.0},
        "candidate": {0.0},
        "output": {0.0},
    }


def test_the_recurrence_starts_orthogonal_in_every_gate():
    """And the four are different: one matrix repeated would be orthogonal too."""
    R = lstm.orthogonal_recurrence(np.random.default_rng(8), 16)
    parts = np.split(np.asarray(R, np.float64), 4, -1)
    for part in parts:
        np.testing.assert_allclose(part.T @ part, np.eye(16), atol=1e-6)
    assert all(np.abs(a - b).max() > 0.1 for a, b in itertools.combinations(parts, 2))


def test_scaled_weights_keep_the_variance_of_their_input():
    """Of a row of 400 unit normals times (400, 500): variance one, within five standard errors of 500 values."""
    rng = np.random.default_rng(9)
    product = rng.normal(size=400) @ np.asarray(lstm.lecun_normal(rng, 400, 500))
    spread = (product**2).mean()
    assert abs(spread - 1) < 5 * np.sqrt(2 / 500 + 2 / 400)


def test_a_product_of_twins_has_the_bits_of_two_rows():
    """Whether the shape lets one row alone be computed or not: whole vectors of columns, and columns left over."""
    rng = np.random.default_rng(0)
    for terms, columns in ((64, 256), (128, 512), (300, 48), (8, 5)):
        row, weights = (rng.standard_normal(shape).astype(np.float32) for shape in ((1, terms), (terms, columns)))
        rows = np.repeat(row, 2, 0)
        compiled = [
            jax.jit(functools.partial(lstm.product, twins=twins))
            .lower(rows, weights)
            .compile(CPU_OPTIONS | GENERATION_OPTIONS)
            for twins in (False, True)
        ]
        one, other = (np.asarray(run(rows, weights)) for run in compiled)
        np.testing.assert_array_equal(one, other)
    assert not lstm.alone_is_exact(8, 5, np.dtype(np.float32))


def test_one_row_alone_is_computed_where_its_bits_are_those_of_two():
    """Here, as on all processors tried so far, the recurrent product of 64 units is such a one."""
    assert lstm.alone_is_exact(64, 256, np.dtype(np.float32))
