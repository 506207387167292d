"""The mathematics is tested in many small programs, each run once: to compile them quickly is what counts."""

import jax
import pytest


@pytest.fixture
def float64():
    """Mathematics is compared in double precision, in which an error is larger than any rounding."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """Compile with few optimisations: half the time, and the same numbers within the tests' tolerance."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
