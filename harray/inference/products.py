"""PCM's prior in products and sums alone, for runtimes without a Cholesky decomposition (ONNX has none).

`MotionPrior` solves a system as large as what a person hides or shows, whichever is less. Here every person's system
is of one size, half of all places: those that are left over are "nowhere", a place more, whose rows and columns are 0.
It is solved by Cholesky's decomposition in blocks, small enough to be unrolled, and as exact.

Letters: M rows (people of clips), T frames, K joints, C coordinates, D = T * K places, E = D + 1, G mixture components,
S sampled places, N unknowns, X systems, B unknowns of a block.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from harray.model.prior import NUM_SAMPLED, MotionPrior

BLOCK = 8  # unknowns that are eliminated at once
LEAST_PIVOT = 1e-12  # instead of 0, nowhere


class Solution(NamedTuple):
    """Of `A x = y` with A positive definite; A's rows and columns of 0 have solution 0."""

    solution_XN: Tensor
    energy_X: Tensor  # y' A^-1 y
    log_determinant_X: Tensor  # each row of 0 adds the logarithm of `LEAST_PIVOT`


class ConditionalMean(nn.Module):
    """The forward of a `MotionPrior`, of any number of rows."""

    matrices_RE: Tensor  # rows of every component's and coordinate's covariance, then of every precision
    order_D: Tensor

    def __init__(self, prior: MotionPrior):
        super().__init__()
        self.num_components, self.num_coordinates, self.nowhere, _ = prior.covariance_GCDD.shape
        both = torch.stack([prior.covariance_GCDD, prior.precision_GCDD]).float()
        self.register_buffer("matrices_RE", nn.functional.pad(both, (0, 1, 0, 1)).flatten(0, 3))
        self.register_buffer("order_D", prior.order_D)

    def forward(self, keypoints_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
        """Hidden joints as the visible ones let expect them, visible ones as they are, `[M, T, K, C]`."""
        seen_MCD, visible_MD = keypoints_MTKC.flatten(1, 2).transpose(1, 2), visible_MTK.flatten(1)
        seen_MCE = nn.functional.pad(seen_MCD, (0, 1))
        few_hidden_M = visible_MD.sum(dim=1) * 2 >= self.nowhere
        matrix_M = few_hidden_M * self.num_components + self.components(seen_MCE, visible_MD)
        place_MN = _first(visible_MD != few_hidden_M[:, None], (self.nowhere + 1) // 2)
        expected_MCD = self._expected(seen_MCE, place_MN, matrix_M, few_hidden_M[:, None, None])
        return torch.where(visible_MD[:, None], seen_MCD, expected_MCD).mT.reshape(keypoints_MTKC.shape)

    def _expected(self, seen_MCE: Tensor, place_MN: Tensor, matrix_M: Tensor, few_hidden_M11: Tensor) -> Tensor:
        """With P the precision, S the covariance, h the hidden and o the observed: -P_hh^-1 P_ho x_o = S_ho S_oo^-1 x_o."""
        size = self.nowhere + 1
        place_M1N = place_MN[:, None]
        place_MCN = place_M1N.expand(-1, self.num_coordinates, -1)
        coordinate_C = torch.arange(self.num_coordinates, device=place_MN.device)
        first_row_MC = (matrix_M[:, None] * self.num_coordinates + coordinate_C) * size
        rows_MCNE = self.matrices_RE[first_row_MC[..., None] + place_M1N]
        among_MCNN = rows_MCNE.gather(3, place_MCN[:, :, None].expand(-1, -1, place_MN.shape[1], -1))
        pull_MCN = -(rows_MCNE @ seen_MCE[..., None]).squeeze(-1)
        right_MCN = torch.where(few_hidden_M11, pull_MCN, seen_MCE.gather(2, place_MCN))
        solved_XN = solve(among_MCNN.flatten(0, 1), right_MCN.flatten(0, 1)).solution_XN
        solved_MCN = solved_XN.unflatten(0, (-1, self.num_coordinates))
        hidden_MCE = torch.zeros_like(seen_MCE).scatter(2, place_MCN, solved_MCN)
        others_MCE = (solved_MCN[:, :, None] @ rows_MCNE).squeeze(2)
        return torch.where(few_hidden_M11, hidden_MCE, others_MCE)[..., : self.nowhere]

    def components(self, seen_MCE: Tensor, visible_MD: Tensor) -> Tensor:
        """The mixture component of each row, `[M]`, as `MotionPrior.components` chooses it."""
        size, num_systems = self.nowhere + 1, self.num_components * self.num_coordinates
        order_E = nn.functional.pad(self.order_D, (0, 1), value=self.nowhere)
        place_MS = order_E[_first(visible_MD[:, self.order_D], NUM_SAMPLED)]
        sample_MCS = seen_MCE.gather(2, place_MS[:, None].expand(-1, self.num_coordinates, -1))
        pair_MSS = place_MS[:, :, None] * size + place_MS[:, None]
        first_V = torch.arange(num_systems, device=place_MS.device) * size**2
        among_MVSS = self.matrices_RE.flatten()[pair_MSS[:, None] + first_V[:, None, None]]
        sample_MVS = sample_MCS.repeat(1, self.num_components, 1)
        solved = solve(among_MVSS.flatten(0, 1), sample_MVS.flatten(0, 1))
        unlikely_X = solved.energy_X + solved.log_determinant_X
        return unlikely_X.view(-1, self.num_components, self.num_coordinates).sum(dim=2).argmin(dim=1)


def solve(matrices_XNN: Tensor, right_XN: Tensor) -> Solution:
    """Cholesky's decomposition in blocks, and both substitutions.

    A product with the inverse of a small triangle takes the place of solving by it, which ONNX cannot.
    """
    count, blocks = int(matrices_XNN.shape[1]), []
    upper = _eliminated(torch.cat([matrices_XNN, right_XN[..., None]], dim=2), blocks)
    right_XN1 = upper[:, :, -1:]  # L^-1 y
    solution_XN1 = right_XN1[:, :0]
    for number, (inverse_XBB, _) in reversed(list(enumerate(blocks))):
        start, end = number * BLOCK, min((number + 1) * BLOCK, count)
        left_XB1 = right_XN1[:, start:end]
        if end < count:
            left_XB1 = left_XB1 - upper[:, start:end, end:count] @ solution_XN1
        solution_XN1 = torch.cat([inverse_XBB.mT @ left_XB1, solution_XN1], dim=1)
    pivots_XN = torch.cat([pivots_XB for _, pivots_XB in blocks], dim=1)
    return Solution(solution_XN1[..., 0], right_XN1.square().sum(dim=(1, 2)), pivots_XN.log().sum(dim=1))


def _eliminated(rows_XNR: Tensor, blocks: list[tuple[Tensor, Tensor]]) -> Tensor:
    """`L^-1 R` of rows R that begin with a matrix `L L'`: halves one after the other, down to blocks.

    Args:
        blocks: takes what `_inverse_of_factor` gives of each block of the diagonal.
    """
    count = int(rows_XNR.shape[1])
    if count <= BLOCK:
        blocks.append(_inverse_of_factor(rows_XNR[:, :, :count]))
        return blocks[-1][0] @ rows_XNR
    half = -(-count // (2 * BLOCK)) * BLOCK
    above = _eliminated(rows_XNR[:, :half], blocks)
    left = rows_XNR[:, half:, half:] - above[:, :, half:count].mT @ above[:, :, half:]
    below = nn.functional.pad(_eliminated(left, blocks), (half, 0))
    return torch.cat([above, below], dim=1)


def _inverse_of_factor(matrices_XBB: Tensor) -> tuple[Tensor, Tensor]:
    """L^-1 of matrices L L', and the squares of L's diagonal `[X, B]`; by Gauss's elimination."""
    size = int(matrices_XBB.shape[1])
    unit_BB = torch.eye(size, device=matrices_XBB.device)
    both = torch.cat([matrices_XBB, unit_BB.expand_as(matrices_XBB)], dim=2)
    below_BB = torch.ones_like(unit_BB).tril(-1)
    pivots = []
    for i in range(size):
        row, column = both[:, i : i + 1], both[:, :, i : i + 1]
        pivots.append(row[:, :, i : i + 1].clamp(min=LEAST_PIVOT))
        both = both - column * (below_BB[:, i : i + 1] / pivots[i]) * row
    pivots_XB1 = torch.cat(pivots, dim=1)
    return both[:, :, size:] * pivots_XB1.rsqrt(), pivots_XB1.squeeze(2)


def _first(wanted_MD: Tensor, count: int) -> Tensor:
    """The first `count` wanted places of each row in their order, `[M, count]`, then D, which is nowhere."""
    nowhere = int(wanted_MD.shape[1])
    number_MD = wanted_MD.long().cumsum(dim=1) - 1
    slot_MD = torch.where(wanted_MD & (number_MD < count), number_MD, count)  # the last slot is thrown away
    place_D = torch.arange(nowhere, device=wanted_MD.device)
    nowhere_MN = torch.full_like(slot_MD[:, :1], nowhere).expand(-1, count + 1)
    return nowhere_MN.scatter(1, slot_MD, place_D.expand_as(slot_MD))[:, :count]
