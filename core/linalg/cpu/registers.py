"""Vector registers in LLVM: loads, stores, multiply-adds and loops that keep their values in registers."""

from __future__ import annotations

# pyright: basic
from llvmlite import binding, ir
from numba.core import cgutils


def _register_bytes() -> int:
    """64 with AVX-512; else 32, which two registers of 16 make as well."""
    try:
        return 64 if binding.get_host_cpu_features().get("avx512f") else 32
    except RuntimeError:  # this processor is not one LLVM can ask
        return 32


BYTES = _register_bytes()


class Registers:
    """Writes LLVM instructions on whole vector registers of one float type into the function that numba is compiling."""

    def __init__(self, context, builder, dtype):
        self.context, self.builder, self.scalar = context, builder, context.get_value_type(dtype)
        self.bytes = dtype.bitwidth // 8
        self.width = BYTES // self.bytes
        self.type = ir.VectorType(self.scalar, self.width)

    def memory(self, kind, array):
        return self.context.make_array(kind)(self.context, self.builder, array).data

    def place(self, memory, row, stride, column=0):
        """Offset of [row, column] in a table with `stride` columns."""
        return self.builder.gep(memory, [self.builder.add(self.builder.mul(row, row.type(stride)), row.type(column))])

    def load(self, place):
        return self.builder.load(self.builder.bitcast(place, self.type.as_pointer()), align=self.bytes)

    def store(self, lanes, place):
        self.builder.store(lanes, self.builder.bitcast(place, self.type.as_pointer()), align=self.bytes)

    def lane(self, r):
        return ir.Constant(ir.IntType(32), r)

    def spread(self, number):
        """The number in all lanes."""
        nothing = ir.Constant(self.type, ir.Undefined)
        one = self.builder.insert_element(nothing, number, self.lane(0))
        return self.builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width))

    def plus(self, x, a, b):
        """x + a·b, rounded once where the machine can."""
        return self.builder.fadd(x, self.builder.fmul(a, b, flags=["contract"]), flags=["contract"])

    def minus(self, x, a, b):
        """x − a·b, rounded once where the machine can."""
        return self.builder.fsub(x, self.builder.fmul(a, b, flags=["contract"]), flags=["contract"])

    def total(self, lanes):
        """The sum of the lanes, in the order that is fast."""
        name = f"llvm.vector.reduce.fadd.v{self.width}f{8 * self.bytes}"
        add = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(self.scalar, [self.scalar, self.type]), name)
        return self.builder.call(add, [self.scalar(0.0), lanes], fastmath=["reassoc"])

    def loop(self, first, last, values, step):
        """`values` after values = step(k, values) for first ≤ k < last, in registers all the while."""
        builder, before = self.builder, self.builder.block
        head, body, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        k, kept = builder.phi(first.type), [builder.phi(value.type) for value in values]
        builder.cbranch(builder.icmp_signed("<", k, last), body, after)
        builder.position_at_end(body)
        changed = step(k, kept)
        following = builder.add(k, first.type(1))
        builder.branch(head)
        for phi, start, again in zip((k, *kept), (first, *values), (following, *changed), strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(again, body)
        builder.position_at_end(after)
        return kept
