"""Functions that ONNX lacks, by functions that it has; in single precision."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

ERFC = (
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
)  # fmt: skip
ERF_INV_NEAR = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip
ERF_INV_FAR = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
)  # fmt: skip
"""Coefficients of polynomials."""
LANCZOS = (
    676.520368121885098567009190444019, -1259.13921672240287047156078755283, 771.3234287776530788486528258894,
    -176.61502916214059906584551354, 12.507343278686904814458936853, -0.13857109526572011689554707,
    9.984369578019570859563e-6, 1.50563273514931155834e-7,
)  # fmt: skip
"""Of Lanczos's series at g = 7, as XLA has it."""
MAX_FRACTIONS = 200
"""Levels of a continued fraction at the most."""


def _log1p(x: Any) -> Any:
    """Kahan's: what the sum rounds away is divided out again."""
    u = 1.0 + x
    exact = (u == 1.0) | ~jnp.isfinite(u)
    return jnp.where(exact, jnp.where(u == 1.0, x, u), x * jnp.log(u) / jnp.where(exact, 1.0, u - 1.0))


def _expm1(x: Any) -> Any:
    """Kahan's, likewise."""
    u = jnp.exp(x)
    plain = (u == 1.0) | (u - 1.0 == -1.0) | ~jnp.isfinite(u)
    safe = jnp.where(plain, 2.0, u)
    return jnp.where(u == 1.0, x, jnp.where(plain, u - 1.0, (safe - 1.0) * x / jnp.log(safe)))


def _erfc(x: Any) -> Any:
    """Numerical Recipes' rational Chebyshev form; its relative error is below 1.2e-7 everywhere."""
    z = jnp.abs(x)
    t = 1.0 / (1.0 + 0.5 * z)
    inner = jnp.full_like(t, ERFC[-1])
    for factor in ERFC[-2::-1]:
        inner = factor + t * inner
    tail = t * jnp.exp(-z * z + inner)
    return jnp.where(x >= 0, tail, 2.0 - tail)


def _erf_inv(x: Any) -> Any:
    """Giles 2012, "Approximating the erfinv function", in single precision, as XLA has it."""
    w = -jnp.log1p(-x * x)
    small = w < 5.0
    w = jnp.where(small, w - 2.5, jnp.sqrt(jnp.maximum(w, 5.0)) - 3.0)
    total = jnp.where(small, ERF_INV_NEAR[0], ERF_INV_FAR[0])
    for one, other in zip(ERF_INV_NEAR[1:], ERF_INV_FAR[1:], strict=True):
        total = jnp.where(small, one, other) + total * w
    return jnp.where(jnp.abs(x) == 1.0, x * jnp.inf, total * x)


def _lgamma(x: Any) -> Any:
    """Lanczos 1964, in the form of XLA; below a half by reflection."""
    reflected = x < 0.5
    z = jnp.where(reflected, -x, x - 1.0)
    total = jnp.full_like(z, 0.99999999999980993227684700473478)
    for k, factor in enumerate(LANCZOS):
        total = total + factor / (z + (k + 1))
    t = 7.5 + z
    log_t = math.log(7.5) + _log1p(z / 7.5)
    above = (z + 0.5 - t / log_t) * log_t + 0.5 * math.log(2 * math.pi) + jnp.log(total)
    below = math.log(math.pi) - jnp.log(jnp.abs(jnp.sin(math.pi * x))) - above
    return jnp.where(reflected, below, above)


def _betainc(a: Any, b: Any, x: Any) -> Any:
    """The continued fraction of DLMF 8.17.22 by Lentz's method, on the side on which it converges quickly."""
    quick = x < (a + 1.0) / (a + b + 2.0)
    a, b, x = jnp.where(quick, a, b), jnp.where(quick, b, a), jnp.where(quick, x, 1.0 - x)

    def level(numerator: Any, c: Any, d: Any, h: Any) -> Any:
        c, d = 1.0 + numerator / c, 1.0 / (1.0 + numerator * d)
        return c, d, h * c * d, c * d

    def go_on(moving: Any) -> Any:
        return (moving[0] < MAX_FRACTIONS) & moving[-1]

    def two_levels(moving: Any) -> Any:
        m, c, d, h, _ = moving
        c, d, h, _ = level(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), c, d, h)
        c, d, h, change = level(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), c, d, h)
        return m + 1.0, c, d, h, (jnp.abs(change - 1.0) > 1e-7).any()

    first = 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    start = jnp.float32(1.0), jnp.ones_like(x), first, first, jnp.bool_(True)
    fraction = jax.lax.while_loop(go_on, two_levels, start)[3]
    scale = _lgamma(a + b) - _lgamma(a) - _lgamma(b) + a * jnp.log(x) + b * _log1p(-x)
    part = jnp.exp(scale) * fraction / a
    return jnp.where(quick, part, 1.0 - part)


def _atan2(y: Any, x: Any) -> Any:
    """The angle of a point, by the arc tangent of one half of the plane; zeros have signs."""
    left, below = (jnp.where(part == 0, 1.0 / part, part) < 0 for part in (x, y))
    half = jnp.where(below, -math.pi, math.pi)
    level = jnp.where(left, half, y)
    sloped = jnp.where(x == 0, 0.5 * half, jnp.atan(y / jnp.where(x == 0, 1.0, x)) + jnp.where(left, half, 0.0))
    return jnp.where(y == 0, level, sloped)


def _le_to(x: Any, y: Any) -> Any:
    """The order in which NaN comes last."""
    return (x <= y) | (y != y)


def _lt_to(x: Any, y: Any) -> Any:
    """The same order."""
    return (x < y) | ((y != y) & (x == x))


COMPOSED: dict[str, Callable[..., Any]] = {
    "log1p": _log1p, "expm1": _expm1, "erfc": _erfc, "erf_inv": _erf_inv, "lgamma": _lgamma,
    "regularized_incomplete_beta": _betainc, "atan2": _atan2, "le_to": _le_to, "lt_to": _lt_to,
}  # fmt: skip
"""Primitives that ONNX lacks, by other ones."""
