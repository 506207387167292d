"""Compiled programs: found in this process, or in the folder that keeps them, or else compiled.

What JAX keeps between processes is machine code: it still traces and lowers a function before it can ask for it, which
is half of a small fit. Here the question is the function's name and the shapes that it is called with, so a program
that any process has compiled costs only its reading. And JAX drops all its programs or none; these go one by one, those
first that were not used for the longest time.
"""

import functools
import inspect
import os
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import serialize_executable
from jax.sharding import SingleDeviceSharding

from unspool.runtime.compilation_cache import FOLDER_OF_PROGRAMS

LEVEL = {"xla_backend_optimization_level": 2}
"""Of the compiler for a processor: it takes nine tenths of the time of level 3, and what it makes is as quick. At level
1, LLVM aborts the process over two fields of eight rows (docs/log.md)."""
CPU_OPTIONS: dict[str, Any] = {**LEVEL, "xla_disable_hlo_passes": "cse_barrier_expander"}
"""Of the compiler for a processor. Without that pass it keeps `jax.lax.optimization_barrier`, as others do."""


GENERATION_OPTIONS: dict[str, Any] = {
    **LEVEL,
    "xla_cpu_prefer_vector_width": 512,
    "xla_cpu_experimental_ynn_fusion_type": "",
}
"""Of the compiler for generation. Where a processor has vectors of 512 bits, use all of them: gates are half of the
work beside matrix products. These products are Eigen's: with YNNPACK's, the last bits of a row would depend on the
number of rows; so they would at level 0."""


class Call(NamedTuple):
    """What a program is compiled for.

    Attributes:
        name: of the function.
        static: its static arguments.
        tree: structure of the others.
        leaves: of each of their arrays, shape, precision, whether it is weakly typed, and over which devices it is cut.
    """

    name: str
    static: tuple[Any, ...]
    tree: Any
    leaves: tuple[Any, ...]


class Compiled(NamedTuple):
    """A program from arrays to arrays, and the structure of those that come out."""

    run: Any
    tree: Any


class Program:
    """A function that runs compiled: as `jax.jit`, but its programs are kept by `Programs`.

    Attributes:
        function: that which is compiled.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        static: tuple[str, ...] = (),
        donate: tuple[str, ...] = (),
        options: dict[str, Any] | None = None,
    ) -> None:
        self.function, self.options, self.name = function, options, f"{function.__module__}.{function.__qualname__}"
        self.signature = inspect.signature(function)
        names = tuple(self.signature.parameters)
        self.static = tuple(name for name in names if name in static)
        self.dynamic = tuple(name for name in names if name not in static)
        self.donated = [name in donate for name in self.dynamic]
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it; what arguments it donates is gone."""
        call, leaves = self.question(*args, **kwargs)
        compiled = PROGRAMS.find(call, functools.partial(self.compile, call, leaves))
        return compiled.tree.unflatten(compiled.run(*leaves))

    def prepare(self, *args: Any, **kwargs: Any) -> None:
        """Compile what a call with such arguments would, without running it; a call meanwhile waits for it."""
        call, leaves = self.question(*args, **kwargs)
        PROGRAMS.find(call, functools.partial(self.compile, call, leaves))

    def question(self, *args: Any, **kwargs: Any) -> tuple[Call, list[Any]]:
        """The program that a call needs, and the arrays to run it with."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        leaves, tree = jax.tree.flatten(tuple(given[name] for name in self.dynamic))
        static = tuple(given[name] for name in self.static)
        return Call(self.name, static, tree, tuple(map(described, leaves))), leaves

    def compile(self, call: Call, leaves: list[Any]) -> Compiled:
        """Read it from the folder, or compile it and keep it there.

        A program for several processes has their addresses, so it is not kept.
        """
        if not all(getattr(leaf, "is_fully_addressable", True) for leaf in leaves):
            return self.lower(call, leaves)
        question = repr((call, self.options))
        found = FOLDER_OF_PROGRAMS.read(question)
        compiled = None if found is None else unpacked(found)
        if compiled is None:
            compiled = self.lower(call, leaves)
            if FOLDER_OF_PROGRAMS.path is not None and (new := packed(compiled)) is not None:
                FOLDER_OF_PROGRAMS.write(question, new)
        return compiled

    def lower(self, call: Call, leaves: list[Any]) -> Compiled:
        """Trace and compile it."""
        static, trees = dict(zip(self.static, call.static, strict=True)), []

        def flat(*leaves: Any) -> list[Any]:
            out = self.function(**dict(zip(self.dynamic, call.tree.unflatten(leaves), strict=True)), **static)
            arrays, tree = jax.tree.flatten(out)
            trees.append(tree)
            return arrays

        flat.__name__ = flat.__qualname__ = self.function.__name__
        counts = [part.num_leaves for part in call.tree.children()]
        donated = np.flatnonzero(np.repeat(self.donated, counts)).tolist()
        run = jax.jit(flat, donate_argnums=donated).lower(*leaves).compile(compiler_options(self.options))
        return Compiled(run, trees[-1])


def compiler_options(own: dict[str, Any] | None) -> dict[str, Any]:
    """What a program with these options of its own is compiled with."""
    return (not_in_flags(CPU_OPTIONS) if jax.default_backend() == "cpu" else {}) | (own or {})


def not_in_flags(options: dict[str, Any]) -> dict[str, Any]:
    """Options of the compiler without those that the user has set in `XLA_FLAGS`, which go first."""
    given = {flag.partition("=")[0].removeprefix("--") for flag in os.environ.get("XLA_FLAGS", "").split()}
    return {name: value for name, value in options.items() if name not in given}


def program(
    *, static: Iterable[str] = (), donate: Iterable[str] = (), options: dict[str, Any] | None = None
) -> Callable[[Callable[..., Any]], Program]:
    """Decorate a function that runs compiled.

    Args:
        static: names of arguments that the program is compiled for; they can be hashed, and tell what they are.
        donate: names of arguments whose memory it may use for what it returns.
        options: of the compiler.

    Examples:
        >>> @program(static=["times"])
        ... def scaled(x, times):
        ...     return {"x": x * times}
        >>> scaled(np.float32(2), times=3)
        {'x': Array(6., dtype=float32)}
    """
    return lambda function: Program(function, tuple(static), tuple(donate), options)


class Programs:
    """The programs of this process; those that were not used for the longest time come first."""

    def __init__(self) -> None:
        self.found: OrderedDict[Any, Future[Compiled]] = OrderedDict()
        self.lock = threading.Lock()
        self.compiled = 0

    def find(self, call: Any, compile: Callable[[], Compiled]) -> Compiled:  # noqa: A002
        """The program, compiled if it is not here; if another thread compiles it, wait for that."""
        with self.lock:
            future = self.found.get(call)
            if future is not None:
                self.found.move_to_end(call)
            else:
                mine = self.found[call] = Future()
                self.compiled += 1
        if future is None:
            future = mine
            try:
                future.set_result(compile())
            except BaseException as error:  # noqa: BLE001  # raised again below, and in all who wait
                with self.lock:
                    self.found.pop(call, None)
                future.set_exception(error)
        return future.result()

    def drop(self, share: float) -> None:
        """Drop a share of them, the oldest first; what is used again comes back from the folder."""
        with self.lock:
            for _ in range(round(share * len(self.found))):
                self.found.popitem(last=False)


PROGRAMS = Programs()


def described(leaf: Any) -> tuple[Any, ...]:
    """What a program depends on of an array, or of a number."""
    if isinstance(leaf, jax.Array):
        own = leaf.sharding
        spread = None if isinstance(own, SingleDeviceSharding) or len(own.device_set) == 1 else own
        return leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False), spread  # a key has none
    if isinstance(leaf, (bool, int, float)):
        return (), jax.dtypes.canonicalize_dtype(np.result_type(leaf)), True, None
    return leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True), False, None


def packed(compiled: Compiled) -> bytes | None:
    """A program as bytes; `None` if its device can't write it down."""
    try:
        devices = [device.id for device in compiled.run.runtime_executable().local_devices()]
        # A tree of numbers in place of its structure, which equinox 0.13 can't read back.
        return pickle.dumps((serialize_executable.serialize(compiled.run), devices, number_leaves(compiled.tree)))
    except Exception:  # noqa: BLE001  # devices differ in what they raise; such programs are compiled again
        return None


def unpacked(found: bytes) -> Compiled | None:
    """A program from the bytes that `packed` gave; `None` if this process can't read it."""
    try:
        (serialized, given, made), numbers, numbered = pickle.loads(found)  # noqa: S301  # machine code of this user's own folder
        devices = [device for device in jax.local_devices() if device.id in numbers]
        run = serialize_executable.deserialize_and_load(serialized, given, made, execution_devices=devices)
        return Compiled(run, jax.tree.structure(numbered))
    except Exception:  # noqa: BLE001  # what can't be read is compiled
        return None


def number_leaves(tree: Any) -> Any:
    """A tree of this structure whose leaves are their own numbers."""
    return tree.unflatten(range(tree.num_leaves))
