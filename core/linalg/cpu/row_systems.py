"""The compiled row systems (numba, CPU): (A_SS) x = w_S for a range of rows, each on its own, without the interpreter lock.

Per row, A_SS = RᵀDR with R unit upper triangular and D the pivots; U = DR is built, `width` rows at a time, by tiles of width × width
numbers, width = what a vector register holds. With I the rows of a tile, J its columns, k all rows above it:

    U_IJ ← A_IJ − Σ_k (U_kI / d_k)ᵀ U_kJ     the tile stays in registers meanwhile: a load for `width` multiply-adds of registers
    U_IJ ← (R_II)⁻ᵀ U_IJ                     by elimination, still in registers

w_S is one more row of the tiles on the diagonal, which makes it y = D⁻¹R⁻ᵀw; then x = R⁻¹y, from the last tile up. The tiles are the
register blocking of matrix products (Goto & van de Geijn 2008), written in LLVM's vectors: loops over an array leave registers each turn.
"""

from __future__ import annotations

# pyright: basic, reportCallIssue=false
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from core.linalg.cpu.registers import BYTES, Registers
from core.linalg.cpu.sweeps import FAST


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def solve_rows_range(system, weight, pruned, solution, first, last):
    """solution[i, S] = (system_SS)⁻¹ weight[i, S] for the rows first ≤ i < last, S = the True columns of pruned[i].

    system [B, B], weight and solution [c, B] of one float type, pruned bool [c, B]. |S|³/6 multiply-adds a row, |S| rounded up to
    whole tiles with the identity. A system that is not positive definite gives NaN.
    """
    size, width = system.shape[0], BYTES // system.itemsize
    most = width * ((size + width - 1) // width)
    index = np.empty(most + 1, np.uint32)  # without a sign: numba looks for negative indices otherwise
    right, inverse, found = np.empty(most + 1, system.dtype), np.empty(most, system.dtype), np.empty(most, system.dtype)
    upper = np.empty((most // width, most, width), system.dtype)  # U_kj at [j // width, k, j % width]
    share = np.empty((most, width + 1), system.dtype)  # U_kI / d_k of the tile's rows I, then y_k
    for row in range(first, last):
        count = 0
        for column in range(size):  # without a branch: a mask is not to be foreseen
            index[count], right[count] = column, weight[row, column]
            count += pruned[row, column]
        panels = (count + width - 1) // width
        index[count : panels * width], right[count : panels * width] = 0, 0
        for i in range(panels):
            start = i * width
            for j in range(i, panels):
                _gather(system, index, upper[j], start, j * width)
            _pad(upper[panels - 1], count, start, (panels - 1) * width)
            for k in range(start):
                for r in range(width):
                    share[k, r] = upper[i, k, r] * inverse[k]
            _eliminate(upper[i], share, inverse, right, start, True)
            for j in range(i + 1, panels):
                _eliminate(upper[j], share, inverse, right, start, False)
        for i in range(panels - 1, -1, -1):
            _substitute(upper, share, inverse, found, i, panels)
        for k in range(count):
            solution[row, index[k]] = found[k]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _gather(system, index, panel, start, begin):
    """The tile of A_SS with the rows from `start` and the columns from `begin` on; four rows share the look at `index`."""
    width = panel.shape[1]
    for k in range(start, start + width, 4):
        a, b, c, d = system[index[k]], system[index[k + 1]], system[index[k + 2]], system[index[k + 3]]
        for r in range(width):
            column = index[begin + r]
            panel[k, r], panel[k + 1, r], panel[k + 2, r], panel[k + 3, r] = a[column], b[column], c[column], d[column]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _pad(panel, count, start, begin):
    """The identity where row or column are `count` or more, in the tile of the last panel (from column `begin` on) from row `start` on."""
    width = panel.shape[1]
    for k in range(start, start + width):
        for r in range(0 if k >= count else count - begin, width):
            panel[k, r] = k == begin + r


@intrinsic(prefer_literal=True)
def _eliminate(typing, panel, share, inverse, right, start, diagonal):
    """The tile of U in `panel` [B, width] with the rows from `start` on, in place, where the tile of A_SS is.

    On the diagonal it also makes, for its rows, 1/d in `inverse` [B] (NaN where d is not positive) and `share` [B, width + 1].
    """
    signature = types.void(panel, share, inverse, right, start, diagonal)

    def write(context, builder, signature, arguments):
        at = Registers(context, builder, panel.dtype)
        panel_, share_, inverse_, right_ = (at.memory(*pair) for pair in zip(signature.args[:4], arguments[:4], strict=True))
        width, begin = at.width, arguments[4]
        own = [builder.add(begin, begin.type(r)) for r in range(width)]
        rows = [at.load(at.place(panel_, k, width)) for k in own]
        if diagonal.literal_value:
            rows.append(at.load(builder.gep(right_, [begin])))

        def factor(k, r):
            return at.spread(builder.load(at.place(share_, k, width + 1, r)))

        def subtract(k, rows):
            above = at.load(at.place(panel_, k, width))
            return [at.minus(mine, factor(k, r), above) for r, mine in enumerate(rows)]

        rows = at.loop(begin.type(0), begin, rows, subtract)
        for r, k in enumerate(own):
            at.store(rows[r], at.place(panel_, k, width))
            if diagonal.literal_value:
                pivot = builder.extract_element(rows[r], at.lane(r))
                positive = builder.fcmp_ordered(">", pivot, at.scalar(0.0))
                turned = builder.fdiv(at.scalar(1.0), builder.select(positive, pivot, at.scalar(float("nan"))))
                builder.store(turned, builder.gep(inverse_, [k]))
                at.store(builder.fmul(rows[r], at.spread(turned)), at.place(share_, k, width + 1))
                known = builder.fmul(builder.extract_element(rows[width], at.lane(r)), turned)
                builder.store(known, at.place(share_, k, width + 1, width))
            for q in range(r + 1, len(rows)):
                rows[q] = at.minus(rows[q], factor(k, q), rows[r])
        return context.get_dummy_value()

    return signature, write


@intrinsic
def _substitute(typing, upper, share, inverse, found, tile, panels):
    """x = y − (UX)/d for the rows of a tile, from the last up, where `found` [B] has x of all rows below the tile."""
    signature = types.void(upper, share, inverse, found, tile, panels)

    def write(context, builder, signature, arguments):
        at = Registers(context, builder, upper.dtype)
        upper_, share_, inverse_, found_ = (at.memory(*pair) for pair in zip(signature.args[:4], arguments[:4], strict=True))
        width, (tile_, panels_) = at.width, arguments[4:]
        depth = cgutils.unpack_tuple(builder, context.make_array(upper)(context, builder, arguments[0]).shape)[1]
        own = [builder.add(builder.mul(tile_, tile_.type(width)), tile_.type(r)) for r in range(width)]

        def row(panel, r, column=0):
            return at.place(upper_, builder.add(builder.mul(panel, depth), own[r]), width, column)

        def add(panel, sums):
            below = at.load(at.place(found_, panel, width))
            return [at.plus(total, at.load(row(panel, r)), below) for r, total in enumerate(sums)]

        sums = at.loop(builder.add(tile_, tile_.type(1)), panels_, [ir.Constant(at.type, None)] * width, add)
        sums = [at.total(lanes) for lanes in sums]
        for r in reversed(range(width)):
            known = builder.load(at.place(share_, own[r], width + 1, width))
            value = at.minus(known, builder.load(builder.gep(inverse_, [own[r]])), sums[r])
            builder.store(value, builder.gep(found_, [own[r]]))
            sums[:r] = [at.plus(sums[q], builder.load(row(tile_, q, r)), value) for q in range(r)]
        return context.get_dummy_value()

    return signature, write
