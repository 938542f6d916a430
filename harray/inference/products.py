"""PCM's prior in products and sums alone, for runtimes without a Cholesky decomposition (ONNX has none).

`MotionPrior` solves a system as large as what a person hides or shows, whichever is less. Here all people's systems
have one size, the largest's: the places that are left over are "nowhere", a place more, whose rows and columns are 0.
They are solved by Cholesky's decomposition in blocks, as exactly; blocks are unrolled, and a loop goes over them.

Letters: M rows (people of clips), T frames, K joints, C coordinates, D = T * K places, E = D + 1, G mixture components,
S sampled places, N unknowns, X systems, B unknowns of a block, R columns.
"""

import functools
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from harray.model.prior import NUM_SAMPLED, MotionPrior

BLOCK, SMALL_BLOCK = 32, 8  # unknowns that are eliminated at once, and one after the other
LEAST_PIVOT = 1e-12  # instead of 0, nowhere


class ConditionalMean(nn.Module):
    """The forward of a `MotionPrior`, of any number of rows.

    Args:
        has_loops: systems are as large as what is hidden asks for, and a loop goes over their blocks; else all are as
            large as they may be, and unrolled: OpenVINO 2026.4 loses shapes that change in a loop.
    """

    matrices_RE: Tensor  # rows of every component's and coordinate's covariance, then of every precision
    order_E: Tensor

    def __init__(self, prior: MotionPrior, *, has_loops: bool = True):
        super().__init__()
        self.solve = solver(has_loops)  # here, since while the model is traced nothing can be compiled
        self.has_loops = has_loops
        self.num_components, self.num_coordinates, self.nowhere, _ = prior.covariance_GCDD.shape
        both = torch.stack([prior.covariance_GCDD, prior.precision_GCDD]).float()
        self.register_buffer("matrices_RE", functional.pad(both, (0, 1, 0, 1)).flatten(0, 3))
        self.register_buffer("order_E", functional.pad(prior.order_D, (0, 1), value=self.nowhere))

    def forward(self, keypoints_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
        """Hidden joints as the visible ones let expect them, visible ones as they are, `[M, T, K, C]`."""
        seen_MCD, visible_MD = keypoints_MTKC.flatten(1, 2).transpose(1, 2), visible_MTK.flatten(1)
        seen_MCE = functional.pad(seen_MCD, (0, 1))
        few_hidden_M = visible_MD.sum(dim=1) * 2 >= self.nowhere
        matrix_M = few_hidden_M * self.num_components + self.components(seen_MCE, visible_MD)
        solved_for_MD = visible_MD != few_hidden_M[:, None]
        most = -(-self.nowhere // (2 * BLOCK)) * BLOCK
        place_MN = (
            wanted_places(solved_for_MD, BLOCK) if self.has_loops else first_places(solved_for_MD, most)
        )
        expected_MCD = self._expected(seen_MCE, place_MN, matrix_M, few_hidden_M[:, None, None])
        whole_MDC = torch.where(visible_MD[:, None], seen_MCD, expected_MCD).transpose(1, 2)
        return whole_MDC.reshape(keypoints_MTKC.shape)

    def _expected(
        self, seen_MCE: Tensor, place_MN: Tensor, matrix_M: Tensor, few_hidden_M11: Tensor
    ) -> Tensor:
        """`-P_hh^-1 P_ho x_o = S_ho S_oo^-1 x_o`: P precision, S covariance, h hidden, o observed places."""
        place_M1N = place_MN[:, None]
        place_MCN = place_M1N.expand(-1, self.num_coordinates, -1)
        coordinate_C = torch.arange(self.num_coordinates, device=place_MN.device)
        first_row_MC = (matrix_M[:, None] * self.num_coordinates + coordinate_C) * (self.nowhere + 1)
        rows_MCNE = self.matrices_RE[first_row_MC[..., None] + place_M1N]
        column_MCNN = place_MCN[:, :, None].expand(-1, -1, place_MN.shape[1], -1)
        pull_MCN = -(rows_MCNE @ seen_MCE[..., None]).squeeze(-1)
        right_MCN = torch.where(few_hidden_M11, pull_MCN, seen_MCE.gather(2, place_MCN))
        among_XNN = rows_MCNE.gather(3, column_MCNN).flatten(0, 1)
        solved_XN, _ = self.solve(among_XNN, right_MCN.flatten(0, 1), BLOCK)
        solved_MCN = solved_XN.view_as(right_MCN)
        hidden_MCE = torch.zeros_like(seen_MCE).scatter(2, place_MCN, solved_MCN)
        others_MCE = (solved_MCN[:, :, None] @ rows_MCNE).squeeze(2)
        return torch.where(few_hidden_M11, hidden_MCE, others_MCE)[..., : self.nowhere]

    def components(self, seen_MCE: Tensor, visible_MD: Tensor) -> Tensor:
        """The mixture component of each row, `[M]`, as `MotionPrior.components` chooses it."""
        num_systems, size = self.num_components * self.num_coordinates, self.nowhere + 1
        sampled_MS = first_places(visible_MD[:, self.order_E[:-1]], NUM_SAMPLED)
        place_MS = self.order_E[sampled_MS]
        sample_MCS = seen_MCE.gather(2, place_MS[:, None].expand(-1, self.num_coordinates, -1))
        pair_MSS = place_MS[:, :, None] * size + place_MS[:, None]
        first_V = torch.arange(num_systems, device=place_MS.device) * size**2
        among_MVSS = self.matrices_RE.flatten()[pair_MSS[:, None] + first_V[:, None, None]]
        sample_MVS = sample_MCS.repeat(1, self.num_components, 1)
        _, unlikely_X = solver(False)(among_MVSS.flatten(0, 1), sample_MVS.flatten(0, 1), BLOCK)
        return unlikely_X.view(-1, self.num_components, self.num_coordinates).sum(dim=2).argmin(dim=1)


@functools.cache
def solver(is_compiled: bool) -> Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]:
    """Cholesky's decomposition in blocks, and both substitutions.

    A product with the inverse of a small triangle takes the place of solving by it, which ONNX cannot.

    Args:
        is_compiled: its loops stay loops in a graph, for any number of blocks; else they are unrolled.
    """
    few, more = (torch.eye(BLOCK).repeat(count, 1, 1) for count in (2, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is constant on purpose
        inverse_of_factor = _inverse_of_factor
        if is_compiled:
            inverse_of_factor = torch.jit.trace(_inverse_of_factor, few, check_inputs=[(more,)])

        def solve(matrices_XNN: Tensor, right_XN: Tensor, block: int) -> tuple[Tensor, Tensor]:
            """Of `A x = y` the solutions `[X, N]`, and `y' A^-1 y` plus the logarithm of A's determinant `[X]`.

            N is a multiple of the block. A's rows and columns of 0 have the solution 0, and each adds the logarithm of
            `LEAST_PIVOT`.
            """
            num_blocks = int(matrices_XNN.shape[1]) // block
            left = torch.cat([matrices_XNN, right_XN.unsqueeze(2)], dim=2)
            upper, inverses = left[:, :0], left[:, :0, :block]  # L' with L^-1 y beside it, so far
            log_X = left[:, :0, 0].sum(dim=1)
            for _ in range(num_blocks):
                inverse_XBB, pivots_XB = inverse_of_factor(left[:, :block, :block])
                rows = inverse_XBB @ left[:, :block]
                left = left[:, block:, block:] - rows[:, :, block:-1].transpose(1, 2) @ rows[:, :, block:]
                upper = torch.cat([upper, functional.pad(rows, (upper.shape[1], 0))], dim=1)
                inverses = torch.cat([inverses, inverse_XBB], dim=1)
                log_X = log_X + pivots_XB.log().sum(dim=1)
            unlikely_X = log_X + upper[:, :, -1].square().sum(dim=1)
            solution_XN1 = upper[:, :0, -1:]
            for number in range(num_blocks):
                start = (num_blocks - 1 - number) * block
                rows = upper[:, start : start + block]
                known_XB1 = rows[:, :, -1:] - rows[:, :, start + block : -1] @ solution_XN1
                inverse_XBB = inverses[:, start : start + block]
                solution_XN1 = torch.cat([inverse_XBB.transpose(1, 2) @ known_XB1, solution_XN1], dim=1)
            return solution_XN1[:, :, 0], unlikely_X

        return torch.jit.script(solve) if is_compiled else solve


def _inverse_of_factor(matrices_XBB: Tensor) -> tuple[Tensor, Tensor]:
    """L^-1 of matrices `L L'`, `[X, B, B]`, and the squares of L's diagonal, `[X, B]`."""
    size, pivots = int(matrices_XBB.shape[1]), []
    unit_BB = torch.eye(size, device=matrices_XBB.device)
    rows = torch.cat([matrices_XBB, unit_BB.expand_as(matrices_XBB)], dim=2)
    inverse_XBB = _eliminated(rows, pivots)[:, :, size:]
    return inverse_XBB, torch.cat(pivots, dim=1)


def _eliminated(rows_XBR: Tensor, pivots: list[Tensor]) -> Tensor:
    """`L^-1 R` of rows R that begin with a matrix `L L'`: one half of them after the other.

    Args:
        pivots: takes the squares of L's diagonal, `[X, ...]`.
    """
    size = int(rows_XBR.shape[1])
    if size <= SMALL_BLOCK:
        inverse_XBB, pivots_XB = _small_inverse_of_factor(rows_XBR[:, :, :size])
        pivots.append(pivots_XB)
        return inverse_XBB @ rows_XBR
    above = _eliminated(rows_XBR[:, : size // 2], pivots)
    factor = above[:, :, size // 2 : size].transpose(1, 2)
    left = rows_XBR[:, size // 2 :, size // 2 :] - factor @ above[:, :, size // 2 :]
    below = functional.pad(_eliminated(left, pivots), (size // 2, 0))
    return torch.cat([above, below], dim=1)


def _small_inverse_of_factor(matrices_XBB: Tensor) -> tuple[Tensor, Tensor]:
    """As `_inverse_of_factor`, row after row."""
    size = int(matrices_XBB.shape[1])
    unit_BB = torch.eye(size, device=matrices_XBB.device)
    below_BB = torch.ones_like(unit_BB).tril(-1)
    rows, pivots = torch.cat([matrices_XBB, unit_BB.expand_as(matrices_XBB)], dim=2), []
    for i in range(size):
        row, column = rows[:, i : i + 1], rows[:, :, i : i + 1]
        pivots.append(row[:, :, i : i + 1].clamp(min=LEAST_PIVOT))
        rows = rows - column * (below_BB[:, i : i + 1] / pivots[i]) * row
    pivots_XB1 = torch.cat(pivots, dim=1)
    return rows[:, :, size:] * pivots_XB1.rsqrt(), pivots_XB1[:, :, 0]


@torch.jit.script
def first_places(wanted_MD: Tensor, count: int) -> Tensor:
    """The first `count` wanted places of each row in their order, `[M, count]`, then D, which is nowhere."""
    number_MD = wanted_MD.long().cumsum(dim=1) - 1
    slot_MD = torch.where(wanted_MD & (number_MD < count), number_MD, count)  # the last slot is thrown away
    # By arithmetic: the exporter loses the type of new tensors in compiled functions.
    place_MD = (number_MD * 0 + 1).cumsum(dim=1) - 1
    nowhere_M1 = number_MD[:, :1] * 0 + wanted_MD.shape[1]
    return nowhere_M1.expand(-1, count + 1).clone().scatter(1, slot_MD, place_MD)[:, :count]


@torch.jit.script
def wanted_places(wanted_MD: Tensor, multiple: int) -> Tensor:
    """All wanted places of each row in their order, then D, which is nowhere: for all as many, of a multiple, not 0."""
    most = int(torch.cat([wanted_MD.long().sum(dim=1), torch.ones(1, dtype=torch.int64)]).max())
    return first_places(wanted_MD, (most + multiple - 1) // multiple * multiple)
