"""A register of eight numbers as a type that Numba compiles, and how its instructions are made."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from digits.network.fast import CODE
from digits.network.kernel_cache import KernelCache

LANES = 8

Array = npt.NDArray[Any]  # float32 or float64, flat

# without reference counts, which take a tenth of a step: nothing is allocated here
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_BARE: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
compiled: Any = njit(**_BARE, **_OPTIONS)
# for what has one caller: with a compiled function, LLVM compiles all that it calls once more
inlined: Any = njit(inline="always", **_OPTIONS)


def cached(function: Callable[..., Any]) -> Any:
    """Compile what Python calls, and keep the result."""
    kernel: Any = njit(**_OPTIONS)(function)
    kernel._cache = KernelCache(function, CODE)
    return kernel


class Lanes(types.Type):
    """Eight numbers of one dtype, which is float32 or float64."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        element = manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, LANES))


class Writer:
    """Writes the LLVM code of one instruction; `kinds` are the types of its arguments."""

    def __init__(self, context: Any, builder: Any, kinds: tuple[Any, ...], result: Any) -> None:
        self.context, self.builder, self.kinds, self.result = context, builder, kinds, result

    def place(self, argument: int, array: Any, index: Any) -> Any:
        """A pointer to array[index], where the array is the argument with that number."""
        structure = self.context.make_array(self.kinds[argument])(self.context, self.builder, array)
        return self.builder.gep(structure.data, [index])

    def load(self, argument: int, array: Any, index: Any) -> Any:
        """array[index : index + 8]."""
        place, align = self._vector(argument, array, index)
        return self.builder.load(place, align=align)

    def store(self, argument: int, array: Any, index: Any, lanes: Any) -> None:
        """array[index : index + 8] = lanes."""
        place, align = self._vector(argument, array, index)
        self.builder.store(lanes, place, align=align)

    def _vector(self, argument: int, array: Any, index: Any) -> tuple[Any, int]:
        """A pointer to array[index : index + 8], and its alignment in bytes."""
        place = self.place(argument, array, index)
        kind = ir.VectorType(place.type.pointee, LANES).as_pointer()
        return self.builder.bitcast(place, kind), self.kinds[argument].dtype.bitwidth // 8

    def splat(self, number: Any) -> Any:
        """The number in every lane."""
        empty = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
        single = self.builder.insert_element(empty, number, ir.IntType(32)(0))
        return self.shuffle(single, single, [0] * LANES)

    def shuffle(self, a: Any, b: Any, lanes: list[int]) -> Any:
        """These lanes of a, counted from 0, and of b, counted from 8."""
        order = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
        return self.builder.shuffle_vector(a, b, order)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """A * b + c, rounded once."""
        bits = 64 if isinstance(a.type.element, ir.DoubleType) else 32
        signature = ir.FunctionType(a.type, [a.type] * 3)
        name = f"llvm.fma.v{LANES}f{bits}"
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        return self.builder.call(function, (a, b, c))

    def rows(self, block: Any, kind: Any) -> list[list[Any]]:
        """The registers of a block."""
        extract = self.builder.extract_value
        return [
            [extract(extract(block, r), p) for p in range(kind.dtype.count)]
            for r in range(kind.count)
        ]

    def block(self, rows: list[list[Any]], kind: Any) -> Any:
        """The block of these registers."""
        pack = self.context.make_tuple
        return pack(self.builder, kind, [pack(self.builder, kind.dtype, row) for row in rows])


def instruction(result: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make a function that Numba compiles by calling it with a Writer and LLVM's values.

    `result` gives the type of what it returns, from the types of its arguments.
    """

    def decorate(write: Callable[..., Any]) -> Any:
        def typed(typing: Any, *kinds: Any) -> Any:
            returned = result(*kinds)

            def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                written = write(Writer(context, builder, kinds, returned), *values)
                return context.get_dummy_value() if returned is types.void else written

            return returned(*kinds), emit

        typed.__signature__ = inspect.signature(write)  # type: ignore[attr-defined]
        typed.__name__ = write.__name__
        return intrinsic(prefer_literal=write.__name__ == "zeros")(typed)

    return decorate
