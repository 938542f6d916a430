"""How people move: one Gaussian over a person's whole clip, and what it lets expect of hidden joints.

All joints of all frames are jointly normal, each coordinate apart. Hidden joints are completed by their conditional
mean given everything seen: where the prediction errors, weighed by their precision, are least, which is what
predictive coding descends to (Friston, 2005). The covariance is estimated by expectation maximisation (Dempster,
Laird and Rubin, 1977), so that clips of which joints are missing count too, and is drawn towards a stationary one.

The mean is zero: the mean pose is the covariance's largest direction, and its size is read off what is seen.

Letters: M rows (people of clips), T frames, K joints, C coordinates, D = T * K, F frequencies, H hidden
joints, O observed joints.
"""

import scipy.fft
import torch
from torch import Tensor, nn

NOISE = 0.007  # body sizes; standard deviation of the error with which a joint is observed
PLACE = 0.5  # body sizes; standard deviation of a person's centre, which is not known when much is hidden
STATIONARY_SHARE = 0.3  # of the covariance between different frequencies in time that is left out
STEP = 0.03  # body sizes; standard deviation of a step where joints walk at random
STRAY = 1.0  # body sizes; standard deviation of where they are
NUM_WALKERS = 1  # people who walk at random, among those that the covariance is estimated from


class MotionPrior(nn.Module):
    """Before it is fitted joints walk at random, so that hidden ones lie on the line between neighbours in time."""

    covariance_CDD: Tensor  # of each coordinate, in squared body sizes
    precision_CDD: Tensor  # its inverse

    def __init__(self, *, num_frames: int, num_joints: int, num_coordinates: int):
        super().__init__()
        self.num_frames, self.num_joints = num_frames, num_joints
        walk_DD = _random_walk(num_frames, num_joints)
        for name, matrix_DD in (("covariance_CDD", walk_DD), ("precision_CDD", torch.linalg.inv(walk_DD))):
            self.register_buffer(name, matrix_DD.float().repeat(num_coordinates, 1, 1))

    @torch.no_grad()
    def forward(self, keypoints_MTKC: Tensor, visible_MTK: Tensor) -> tuple[Tensor, Tensor]:
        """What the visible joints let expect, and how far they themselves are from what is expected.

        Args:
            keypoints_MTKC: each person about its own centre, in body sizes; 0 where hidden.

        Returns:
            hidden joints as expected and visible ones as they are; the visible ones' errors, beside what all other
            joints let expect, the expected ones among them, 0 where hidden. Both `[M, T, K, C]`.
        """
        with torch.autocast(keypoints_MTKC.device.type, enabled=False):
            expected_MCD, _ = self._conditional(keypoints_MTKC.float(), visible_MTK)
            error_MCD = torch.einsum("cde,mce->mcd", self.precision_CDD, expected_MCD)
        error_MCD = error_MCD / self.precision_CDD.diagonal(dim1=1, dim2=2)
        error_MCD = error_MCD * visible_MTK.flatten(1)[:, None]
        shape = keypoints_MTKC.shape
        return expected_MCD.mT.reshape(shape), error_MCD.mT.reshape(shape)

    def moments(self, keypoints_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
        """The expectation: the rows' sum of second moments `[C, D, D]`, float64, given what is seen of them.

        Arguments as of `forward`.
        """
        expected_MCD, covariance_CDD = self._conditional(keypoints_MTKC, visible_MTK, with_covariance=True)
        expected_MCD = expected_MCD.double()
        return torch.einsum("mcd,mce->cde", expected_MCD, expected_MCD) + covariance_CDD

    def fit(self, moments_CDD: Tensor, num_rows: int) -> None:
        """The maximisation: the covariance that the moments of so many rows make likely, or nearly."""
        num_frames, num_joints = self.num_frames, self.num_joints
        walk_DD = _random_walk(num_frames, num_joints).to(moments_CDD.device)
        mean_CDD = (moments_CDD + NUM_WALKERS * walk_DD) / (num_rows + NUM_WALKERS)
        covariance_CDD = _more_stationary(mean_CDD, num_frames) + PLACE**2
        covariance_CDD.diagonal(dim1=1, dim2=2).add_(NOISE**2)
        self.covariance_CDD.copy_(covariance_CDD)
        self.precision_CDD.copy_(torch.cholesky_inverse(torch.linalg.cholesky(covariance_CDD)))

    def _conditional(
        self, keypoints_MTKC: Tensor, visible_MTK: Tensor, *, with_covariance: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The conditional mean `[M, C, D]` and, where asked for, the rows' sum of conditional covariances `[C, D, D]`.

        Row by row, so that none depends on the others, and for the mean alone by the smaller of two linear systems:
        with P the precision and S the covariance, h the hidden joints and o the observed ones, it is
        -P_hh^-1 P_ho x_o = S_ho S_oo^-1 x_o. The covariance is P_hh^-1.
        """
        hidden_MD = ~visible_MTK.flatten(1)
        mean_MCD = keypoints_MTKC.flatten(1, 2).mT.contiguous()
        total_CDD = torch.zeros_like(self.precision_CDD)
        pull_MCD = -torch.einsum("cde,mce->mcd", self.precision_CDD, mean_MCD)
        for row in hidden_MD.any(dim=1).nonzero()[:, 0].tolist():
            hidden_H, seen_O = hidden_MD[row].nonzero()[:, 0], (~hidden_MD[row]).nonzero()[:, 0]
            if with_covariance or len(hidden_H) <= len(seen_O):
                factor_CHH = _factor(self.precision_CDD, hidden_H)
                mean_CH = _solved(factor_CHH, pull_MCD[row][:, hidden_H])
                if with_covariance:
                    total_CDD[:, hidden_H[:, None], hidden_H] += torch.cholesky_inverse(factor_CHH)
            else:
                weight_CO = _solved(_factor(self.covariance_CDD, seen_O), mean_MCD[row][:, seen_O])
                from_CHO = self.covariance_CDD.index_select(1, hidden_H).index_select(2, seen_O)
                mean_CH = torch.einsum("cho,co->ch", from_CHO, weight_CO)
            mean_MCD[row][:, hidden_H] = mean_CH
        return mean_MCD, total_CDD


def _factor(matrices_CDD: Tensor, index_I: Tensor) -> Tensor:
    """Cholesky's, of these rows and columns."""
    return torch.linalg.cholesky(matrices_CDD.index_select(1, index_I).index_select(2, index_I))


def _solved(factor_CII: Tensor, right_CI: Tensor) -> Tensor:
    return torch.cholesky_solve(right_CI[..., None], factor_CII)[..., 0]


def _random_walk(num_frames: int, num_joints: int) -> Tensor:
    """Covariance `[D, D]`, float64, of joints that know nothing of each other."""
    steps = torch.eye(num_frames, dtype=torch.float64).diff(dim=0) / STEP
    walk_TT = torch.linalg.inv(steps.T @ steps + torch.eye(num_frames) / STRAY**2)
    return torch.kron(walk_TT.contiguous(), torch.eye(num_joints))


def _more_stationary(covariance_CDD: Tensor, num_frames: int) -> Tensor:
    """Less of what joins different frequencies, which is 0 where no time differs from another."""
    cosines = scipy.fft.dct(torch.eye(num_frames, dtype=torch.float64).numpy(), norm="ortho", axis=0)
    cosines_FT = torch.from_numpy(cosines).to(covariance_CDD.device)
    kept_FF = torch.full_like(cosines_FT, 1 - STATIONARY_SHARE).fill_diagonal_(1.0)
    by_time = covariance_CDD.unflatten(2, (num_frames, -1)).unflatten(1, (num_frames, -1))
    by_frequency = torch.einsum("ft,ctkuj,gu,fg->cfkgj", cosines_FT, by_time, cosines_FT, kept_FF)
    by_time = torch.einsum("ft,cfkgj,gu->ctkuj", cosines_FT, by_frequency, cosines_FT)
    return by_time.reshape_as(covariance_CDD)
