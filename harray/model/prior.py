"""How people move: a mixture of Gaussians over a person's whole clip, and what it lets expect of hidden joints.

All joints of all frames are jointly normal, each coordinate separately, within a mixture component. A component stands
for a kind of motion; its covariance is shrunk towards the one of all clips, and a clip belongs to the component under
which its visible joints are likeliest. Hidden joints are completed by their conditional mean given everything seen:
where the prediction errors, weighed by their precision, are least, which is what predictive coding descends to
(Friston, 2005). The covariances are estimated by expectation maximisation (Dempster, Laird and Rubin, 1977; with hard
assignments, Celeux and Govaert, 1992), so that clips with missing joints count too, and are shrunk towards stationary
ones.

The mean is zero: the mean pose is the covariance's first principal component, and its size is read off what is seen.

Letters: M rows (people of clips), T frames, K joints, C coordinates, D = T * K, G mixture components, F frequencies or
principal components, H hidden joints, O observed joints, S sampled ones.
"""

import numpy as np
import scipy.fft
import scipy.linalg
import torch
from torch import Tensor, nn

NOISE = 0.007  # body sizes; standard deviation of the error with which a joint is observed
PLACE = 0.5  # body sizes; standard deviation of a person's centre, which is not known when much is hidden
STATIONARY_SHARE = 0.3  # of the covariance between different frequencies in time that is left out
STEP = 0.03  # body sizes; standard deviation of a step where joints walk at random
STRAY = 1.0  # body sizes; standard deviation of where they are
NUM_WALKERS = 1  # people who walk at random, among those that the covariance is estimated from
NUM_SAMPLED = 32  # of the visible joints of all frames, by which the mixture component is chosen
NUM_PRINCIPAL = 6  # principal components of each coordinate, in which clips are first clustered
ROWS_AT_ONCE = 128  # to assign to components; more fill the memory


class MotionPrior(nn.Module):
    """Before it is fitted joints walk at random, so that hidden ones lie on the line between neighbours in time."""

    covariance_GCDD: Tensor  # of each component and coordinate, in squared body sizes
    precision_GCDD: Tensor  # its inverse
    order_D: Tensor  # in which joints of frames are sampled

    def __init__(self, *, num_components: int, num_frames: int, num_joints: int, num_coordinates: int):
        super().__init__()
        self.num_components, self.shape = num_components, (num_frames, num_joints, num_coordinates)
        walk_DD = _random_walk(num_frames, num_joints).float()
        self.register_buffer("covariance_GCDD", walk_DD.repeat(num_components, num_coordinates, 1, 1))
        # Its inverse is made anew where the covariance is loaded: a checkpoint is half as large without.
        inverse_DD = _inverse(walk_DD.double()).float()
        self.register_buffer(
            "precision_GCDD", inverse_DD.repeat(num_components, num_coordinates, 1, 1), persistent=False
        )
        self.register_load_state_dict_post_hook(lambda prior, _: prior._invert())
        order_D = torch.randperm(len(walk_DD), generator=torch.Generator().manual_seed(0))
        self.register_buffer("order_D", order_D, persistent=False)

    @torch.no_grad()
    def forward(self, keypoints_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
        """Hidden joints as the visible ones let expect them, visible ones as they are, `[M, T, K, C]`.

        Args:
            keypoints_MTKC: each person about its own centre, in body sizes; 0 where hidden.
        """
        with torch.autocast(keypoints_MTKC.device.type, enabled=False):
            seen_MTKC = keypoints_MTKC.float()
            if keypoints_MTKC.device.type != "cpu":
                return self._completed(seen_MTKC, visible_MTK)
            incomplete_M = (~visible_MTK).flatten(1).any(dim=1)
            if incomplete_M.all():
                return self._completed(seen_MTKC, visible_MTK)
            expected_MTKC = seen_MTKC.clone()
            if incomplete_M.any():
                expected_MTKC[incomplete_M] = self._completed(
                    seen_MTKC[incomplete_M], visible_MTK[incomplete_M]
                )
            return expected_MTKC

    def _completed(self, seen_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
        component_M = self.components(seen_MTKC, visible_MTK)
        seen_MCD = seen_MTKC.flatten(1, 2).mT
        mean_MCD = self._conditional_means(component_M, seen_MCD, visible_MTK.flatten(1))
        return mean_MCD.mT.reshape(seen_MTKC.shape)

    @torch.no_grad()
    def components(self, keypoints_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
        """The mixture component of each row, `[M]`: the one under which a sample of the visible joints is likeliest.

        The sample is drawn from the visible joints of all frames, always in the same order. Arguments as of `forward`.
        """
        likeliest = [
            self._log_likelihoods(*rows).argmax(dim=1)
            for rows in zip(
                keypoints_MTKC.flatten(1, 2).mT.split(ROWS_AT_ONCE),
                visible_MTK.flatten(1).split(ROWS_AT_ONCE),
                strict=True,
            )
        ]
        return torch.cat(likeliest)

    def principal_components(self, keypoints_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
        """The scores of each row, completed, on the covariance's first principal components, `[M, F]`, body sizes.

        By the first mixture component, as long as all are alike; arguments as of `forward`.
        """
        seen_MCD = keypoints_MTKC.double().flatten(1, 2).mT
        first_M = torch.zeros(len(seen_MCD), dtype=torch.long, device=seen_MCD.device)
        expected_MCD = self._conditional_means(first_M, seen_MCD, visible_MTK.flatten(1))
        axes_CDF = torch.linalg.eigh(self.covariance_GCDD[0].double())[1][..., -NUM_PRINCIPAL:]
        farthest_C1F = axes_CDF.abs().argmax(dim=1, keepdim=True)
        sign_C1F = axes_CDF.gather(1, farthest_C1F).sign()  # else it would be the machine's choice
        return torch.einsum("mcd,cdf->mcf", expected_MCD, axes_CDF * sign_C1F).flatten(1)

    def moments(
        self, keypoints_MTKC: Tensor, visible_MTK: Tensor, component_M: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The expectation: by component the sum of its rows' second moments given what is seen, `[G, C, D, D]`.

        And the components' numbers of rows `[G]`; both float64. Arguments as of `forward`, and each row's component.
        """
        moments_GCDD = torch.zeros_like(self.covariance_GCDD, dtype=torch.float64)
        seen_MCD = keypoints_MTKC.double().flatten(1, 2).mT
        hidden_MD = ~visible_MTK.flatten(1)
        for component in component_M.unique().tolist():
            rows = component_M == component
            moments_GCDD[component] = self._moments_of(component, seen_MCD[rows], hidden_MD[rows])
        return moments_GCDD, torch.bincount(component_M, minlength=self.num_components).double()

    def _moments_of(self, component: int, seen_MCD: Tensor, hidden_MD: Tensor) -> Tensor:
        """Of rows that all belong to one mixture component, `[C, D, D]`."""
        precision_CDD = self.precision_GCDD[component].double()
        expected_MCD, uncertain_CDD = seen_MCD.clone(), torch.zeros_like(precision_CDD)
        pull_MCD = torch.einsum("cde,mce->mcd", precision_CDD, seen_MCD)
        for expected_CD, pull_CD, hidden_D in zip(expected_MCD, pull_MCD, hidden_MD, strict=True):
            if len(hidden_H := hidden_D.nonzero()[:, 0]):
                uncertain_CHH = _inverse(_among(precision_CDD, hidden_H))
                expected_CD[:, hidden_H] = -(uncertain_CHH @ pull_CD[:, hidden_H, None])[..., 0]
                uncertain_CDD[:, hidden_H[:, None], hidden_H] += uncertain_CHH
        return torch.einsum("mcd,mce->cde", expected_MCD, expected_MCD) + uncertain_CDD

    def fit(self, moments_GCDD: Tensor, num_rows_G: Tensor, *, num_shared: float) -> None:
        """The maximisation: the covariances that the moments of so many rows make likely, or nearly.

        Args:
            num_shared: how many rows of all components each one is estimated from beside its own, scaled to its own
                variance. A component without rows gets the covariance of all.
        """
        walk_DD = _random_walk(*self.shape[:2]).to(moments_GCDD.device)
        all_CDD = (moments_GCDD.sum(dim=0) + NUM_WALKERS * walk_DD) / (num_rows_G.sum() + NUM_WALKERS)
        shared_CDD = self._regular(all_CDD)
        shared_precision_CDD = _inverse(shared_CDD)
        for component, num_rows in enumerate(num_rows_G.tolist()):
            covariance_CDD = shared_CDD
            if 0 < num_rows < num_rows_G.sum():
                own_CDD = moments_GCDD[component] / num_rows
                own_C, all_C = (
                    torch.einsum("cde,ced->c", shared_precision_CDD, x) for x in (own_CDD, all_CDD)
                )
                others_CDD = (own_C / all_C)[:, None, None] * all_CDD
                covariance_CDD = torch.lerp(own_CDD, others_CDD, num_shared / (num_rows + num_shared))
                covariance_CDD = self._regular(covariance_CDD)
            self.covariance_GCDD[component] = covariance_CDD
        self._invert()

    def _regular(self, covariance_CDD: Tensor) -> Tensor:
        covariance_CDD = _more_stationary(covariance_CDD, self.shape[0]) + PLACE**2
        covariance_CDD.diagonal(dim1=1, dim2=2).add_(NOISE**2)
        return covariance_CDD

    def _invert(self) -> None:
        for precision_CDD, covariance_CDD in zip(self.precision_GCDD, self.covariance_GCDD, strict=True):
            precision_CDD.copy_(_inverse(covariance_CDD.double()))

    def _log_likelihoods(self, seen_MCD: Tensor, visible_MD: Tensor) -> Tensor:
        """Of a sample of each row's visible joints under each component, less what components share, `[M, G]`."""
        place_S = torch.arange(min(NUM_SAMPLED, visible_MD.shape[1]), device=visible_MD.device)
        seen_first_MD = visible_MD[:, self.order_D].byte().argsort(dim=1, descending=True, stable=True)
        index_MS = self.order_D[seen_first_MD[:, place_S]]
        missing_MS = place_S >= visible_MD.sum(dim=1, keepdim=True)
        sample_MCS = seen_MCD.gather(2, index_MS[:, None].expand(-1, seen_MCD.shape[1], -1))
        unknown_MSS = missing_MS[:, :, None] | missing_MS[:, None, :]
        unit_SS = torch.eye(len(place_S), device=visible_MD.device)
        pairs_MSS = index_MS[:, :, None] * visible_MD.shape[1] + index_MS[:, None, :]
        among = self.covariance_GCDD.flatten(2).index_select(2, pairs_MSS.flatten())
        among_GCMSS = among.unflatten(2, pairs_MSS.shape).where(~unknown_MSS, unit_SS)
        factor_GCMSS = torch.linalg.cholesky_ex(among_GCMSS)[0]
        sample_GCMS1 = sample_MCS.transpose(0, 1)[..., None].expand(self.num_components, -1, -1, -1, -1)
        white_GCMS1 = torch.linalg.solve_triangular(factor_GCMSS, sample_GCMS1, upper=False)
        volume_GCM = factor_GCMSS.diagonal(dim1=3, dim2=4).log().sum(dim=-1)
        return -(white_GCMS1.square().sum(dim=(3, 4)) / 2 + volume_GCM).sum(dim=1).mT

    def _conditional_means(self, component_M: Tensor, seen_MCD: Tensor, visible_MD: Tensor) -> Tensor:
        """Visible joints as they are, hidden ones by the conditional mean of their row's component, `[M, C, D]`.

        With P the precision and S the covariance, h the hidden joints and o the observed ones, it is
        -P_hh^-1 P_ho x_o = S_ho S_oo^-1 x_o. CPUs solve the smaller of the two systems row by row, other devices the
        first of all rows at once.
        """
        matrices = self.covariance_GCDD.to(seen_MCD.dtype), self.precision_GCDD.to(seen_MCD.dtype)
        if seen_MCD.device.type == "cpu":
            covariance_GCDD, precision_GCDD = (x.numpy() for x in matrices)
            mean_MCD = seen_MCD.contiguous().clone()
            for component, mean_CD, visible_D in zip(
                component_M.tolist(), mean_MCD.numpy(), visible_MD.numpy(), strict=True
            ):
                _fill_row(mean_CD, visible_D, covariance_GCDD[component], precision_GCDD[component])
            return mean_MCD
        rows = zip(*(x.split(ROWS_AT_ONCE) for x in (component_M, seen_MCD, visible_MD)), strict=True)
        return torch.cat([_filled_rows(matrices[1], *each) for each in rows])


def _fill_row(
    mean_CD: np.ndarray, visible_D: np.ndarray, covariance_CDD: np.ndarray, precision_CDD: np.ndarray
) -> None:
    """Fill in the hidden joints of a row, which are 0, in place."""
    hidden_H, seen_O = np.flatnonzero(~visible_D), np.flatnonzero(visible_D)
    if not (len(hidden_H) and len(seen_O)):
        return
    few_hidden = len(hidden_H) <= len(seen_O)
    for mean_D, covariance_DD, precision_DD in zip(mean_CD, covariance_CDD, precision_CDD, strict=True):
        if few_hidden:
            rows_HD = precision_DD[hidden_H]
            mean_D[hidden_H] = _solution(rows_HD[:, hidden_H], -rows_HD @ mean_D)
        else:
            rows_OD = covariance_DD[seen_O]
            mean_D[hidden_H] = _solution(rows_OD[:, seen_O], mean_D[seen_O]) @ rows_OD[:, hidden_H]


def _solution(matrix_II: np.ndarray, right_I: np.ndarray) -> np.ndarray:
    """Of the linear system with a positive definite matrix, which is overwritten."""
    (posv,) = scipy.linalg.get_lapack_funcs(("posv",), (matrix_II,))
    _, solution_I, failed = posv(matrix_II.T, right_I, overwrite_a=True)
    if failed:
        raise np.linalg.LinAlgError("the prior's covariance is not positive definite")
    return solution_I


def _filled_rows(precision_GCDD: Tensor, component_M: Tensor, seen_MCD: Tensor, visible_MD: Tensor) -> Tensor:
    """Rows with their hidden joints filled in: systems of all joints, in which visible ones stand for themselves."""
    hidden_MD = ~visible_MD
    among_MCDD = precision_GCDD[component_M]
    pull_MCD = torch.einsum("mcde,mce->mcd", among_MCDD, seen_MCD * visible_MD[:, None])
    pairs_M1DD = (hidden_MD[:, :, None] & hidden_MD[:, None, :])[:, None]
    unit_DD = torch.eye(seen_MCD.shape[2], dtype=seen_MCD.dtype, device=seen_MCD.device)
    factor_MCDD, _ = torch.linalg.cholesky_ex(torch.where(pairs_M1DD, among_MCDD, unit_DD))
    right_MCD = torch.where(hidden_MD[:, None], -pull_MCD, seen_MCD)
    return torch.cholesky_solve(right_MCD[..., None], factor_MCDD)[..., 0]


def _inverse(matrices_CDD: Tensor) -> Tensor:
    """Of positive definite matrices."""
    return torch.cholesky_inverse(torch.linalg.cholesky(matrices_CDD))


def _among(matrices_CDD: Tensor, index_I: Tensor) -> Tensor:
    """These rows and columns."""
    pairs_II = index_I[:, None] * matrices_CDD.shape[1] + index_I
    return matrices_CDD.flatten(1).index_select(1, pairs_II.flatten()).unflatten(1, pairs_II.shape)


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
