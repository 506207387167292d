"""What every test run has in common: shapes are checked, compiled programs are kept, random examples are repeatable."""

import os
from pathlib import Path

import hypothesis
from jaxtyping import install_import_hook

ROOT = Path(__file__).parents[1]

# Before JAX is imported, and as environment, so that the programs that tests start inherit it.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

# While testing, these check the shapes and types that their annotations promise. They are the mathematics, which trusts
# its callers; the modules that users call are left out, for they answer a wrong type with an error of ours. In these,
# annotate with the class's name rather than with typing.Self, which beartype can't resolve in a single method.
install_import_hook(
    ["unspool.network", "unspool.training", "unspool.generation", "unspool.evaluation", "unspool.random"],
    "beartype.beartype",
)

hypothesis.settings.register_profile("unspool", deadline=None, derandomize=True, max_examples=60, print_blob=True)
hypothesis.settings.load_profile("unspool")
