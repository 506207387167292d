"""Distributions are tested as they are used: within a program."""

import equinox as eqx
import jax
import pytest

from unspool.network.distributions.base import Distribution

METHODS = ("sample", "log_prob", "log_mass", "mode", "mean")


@pytest.fixture(scope="module")
def whole_programs():
    """Each call of a method is one program: one operation after the other takes two to ten times as long."""
    jax.clear_caches()  # what another precision has compiled, of which JAX keeps constants
    with pytest.MonkeyPatch.context() as patch:
        classes = [Distribution]
        for cls in classes:
            classes += [one for one in cls.__subclasses__() if one not in classes]
            for name in METHODS:
                method = vars(cls).get(name)
                if method is not None and not getattr(method, "__isabstractmethod__", False):
                    patch.setattr(cls, name, eqx.filter_jit(method))
        yield
