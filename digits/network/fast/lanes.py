"""Instructions on registers that hold eight images side by side.

Every one is an IEEE operation on each lane, but for what `flush_subnormals` says, and a
multiply-add is fused only where `fma` or `add_...` says so: a result is the same bits on every
processor. Lanes meet in `lane_sums` alone. A block is a tuple of rows of registers. Indices are not
checked: an array is flat memory here.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import overload

from digits.network.fast.register import LANES, Lanes, Writer, instruction


def _of_array(array: Any, *_: Any) -> Lanes:
    return Lanes(array.dtype)


def _of_first(first: Any, *_: Any) -> Any:
    return first


def _nothing(*_: Any) -> Any:
    return types.void


def _zeros(array: Any, rows: Any, width: Any) -> Any:
    row = types.UniTuple(Lanes(array.dtype), width.literal_value)
    return types.UniTuple(row, rows.literal_value)


def _numbers(block: Any) -> Any:
    return types.UniTuple(block.dtype.dtype.dtype, block.count * block.dtype.count)


@instruction(_of_array)
def load(write: Writer, array: Any, index: Any) -> Any:
    """array[index : index + 8]."""
    return write.load(0, array, index)


@instruction(_nothing)
def store(write: Writer, array: Any, index: Any, lanes: Any) -> None:
    """array[index : index + 8] = lanes."""
    write.store(0, array, index, lanes)


@instruction(_of_array)
def splat(write: Writer, array: Any, number: Any) -> Any:
    """The number in every lane, rounded to the dtype of the array."""
    return write.splat(
        write.context.cast(write.builder, number, write.kinds[1], write.kinds[0].dtype)
    )


@instruction(_of_first)
def fma(write: Writer, a: Any, b: Any, c: Any) -> Any:
    """A * b + c, rounded once."""
    return write.fma(a, b, c)


@instruction(_of_first)
def where_greater(write: Writer, a: Any, b: Any, c: Any, d: Any) -> Any:
    """C where a > b, else d."""
    return write.builder.select(write.builder.fcmp_ordered(">", a, b), c, d)


@instruction(_of_first)
def where_equal(write: Writer, a: Any, b: Any, c: Any, d: Any) -> Any:
    """C where a == b, else d."""
    return write.builder.select(write.builder.fcmp_ordered("==", a, b), c, d)


@instruction(_of_first)
def keep(write: Writer, lanes: Any, count: Any) -> Any:
    """The first `count` lanes; the others are zero."""
    places = ir.Constant(ir.VectorType(count.type, LANES), list(range(LANES)))
    kept = write.builder.icmp_signed("<", places, write.splat(count))
    return write.builder.select(kept, lanes, ir.Constant(lanes.type, [0.0] * LANES))


@instruction(_zeros)
def zeros(write: Writer, array: Any, rows: Any, width: Any) -> Any:
    """A block of zeros in the dtype of the array; `rows` and `width` are literals."""
    kind = write.result
    zero = ir.Constant(write.context.get_value_type(kind.dtype.dtype), [0.0] * LANES)
    return write.block([[zero] * kind.dtype.count] * kind.count, kind)


@instruction(_of_first)
def add_products(write: Writer, block: Any, array: Any, index: Any, pitch: Any, factor: Any) -> Any:
    """block[r][p] + array[index + r * pitch + 8 * p] * factor, each rounded once."""
    rows = write.rows(block, write.result)
    for row in rows:
        for p, total in enumerate(row):
            lanes = write.load(1, array, write.builder.add(index, index.type(p * LANES)))
            row[p] = write.fma(lanes, factor, total)
        index = write.builder.add(index, pitch)
    return write.block(rows, write.result)


@instruction(_of_first)
def add_weighted(write: Writer, block: Any, lanes: Any, array: Any, index: Any, step: Any) -> Any:
    """block[0][p] + lanes * array[index + p * step], each rounded once."""
    (row,) = write.rows(block, write.result)
    for p, total in enumerate(row):
        weight = write.builder.load(write.place(2, array, index))
        row[p] = write.fma(lanes, write.splat(weight), total)
        index = write.builder.add(index, step)
    return write.block([row], write.result)


@instruction(_nothing)
def store_block(write: Writer, array: Any, index: Any, pitch: Any, block: Any) -> None:
    """array[index + r * pitch + 8 * p] = block[r][p]."""
    for row in write.rows(block, write.kinds[3]):
        for p, lanes in enumerate(row):
            write.store(0, array, write.builder.add(index, index.type(p * LANES)), lanes)
        index = write.builder.add(index, pitch)


@instruction(_numbers)
def lane_sums(write: Writer, block: Any) -> Any:
    """The sum over the lanes of each register, row after row; neighbours are added in pairs."""
    left = [lanes for row in write.rows(block, write.kinds[0]) for lanes in row]
    for _ in range(3):  # add pairs of registers, until each lane holds the sum of one
        left += left[-1:] * (len(left) % 2)
        left = [
            write.builder.fadd(
                write.shuffle(a, b, list(range(0, 2 * LANES, 2))),
                write.shuffle(a, b, list(range(1, 2 * LANES, 2))),
            )
            for a, b in zip(left[::2], left[1::2], strict=True)
        ]
    place = ir.IntType(32)
    sums = [
        write.builder.extract_element(left[n // LANES], place(n % LANES))
        for n in range(write.result.count)
    ]
    return write.context.make_tuple(write.builder, write.result, sums)


@instruction(lambda array, index, number: array.dtype)
def add_atomic(write: Writer, array: Any, index: Any, number: Any) -> Any:
    """Add to array[index] as one operation among all threads; returns what it was before."""
    return write.builder.atomic_rmw("add", write.place(0, array, index), number, "seq_cst")


@instruction(lambda array, index: array.dtype)
def load_atomic(write: Writer, array: Any, index: Any) -> Any:
    """array[index] of an int32 array, after everything that its writer did before."""
    return write.builder.load_atomic(write.place(0, array, index), "acquire", 4)


@instruction(_nothing)
def flush_subnormals(write: Writer, are_zero: Any) -> None:
    """Whether numbers below 1e-38 count as zero from here on, in this thread."""
    builder, byte = write.builder, ir.IntType(8).as_pointer()
    word = ir.IntType(32)  # bits 6 and 15 flush them; the others are a process's default
    control = builder.select(are_zero, word(0x9FC0), word(0x1F80))
    place = builder.bitcast(cgutils.alloca_once_value(builder, control), byte)
    signature = ir.FunctionType(ir.VoidType(), [byte])
    name = "llvm.x86.sse.ldmxcsr"
    builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [place])


def _define(symbol: Any, name: str) -> None:
    @instruction(_of_first)
    def operation(write: Writer, a: Any, b: Any) -> Any:
        return getattr(write.builder, name)(a, b)

    overload(symbol)(
        lambda a, b: (lambda a, b: operation(a, b)) if isinstance(a, Lanes) and a == b else None
    )


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
