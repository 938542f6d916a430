"""The prior in products alone against the one by Cholesky's decomposition, on masks that are hard."""

import math

import pytest
import torch

from harray.inference.products import (
    BLOCK,
    LEAST_PIVOT,
    ConditionalMean,
    first_places,
    solver,
    wanted_places,
)
from harray.model.network import about_own_centre
from harray.model.prior import MotionPrior

FRAMES, JOINTS = 16, 7


@pytest.fixture(scope="module")
def prior() -> MotionPrior:
    """Two components, fitted to people who sway together at different speeds."""
    prior = MotionPrior(num_components=2, num_frames=FRAMES, num_joints=JOINTS, num_coordinates=2)
    random = torch.Generator().manual_seed(0)
    size, moments = FRAMES * JOINTS, []
    for speed in (1, 4):
        time = torch.linspace(0, speed * torch.pi, FRAMES).sin()[:, None] * torch.ones(JOINTS)
        moved = torch.randn(40, 2, 1, generator=random) * time.flatten() + torch.randn(size, generator=random)
        moments.append(torch.einsum("ncd,nce->cde", moved, moved).double())
    prior.fit(torch.stack(moments), torch.tensor([40.0, 40.0]).double(), num_shared=4)
    return prior


def people(prior: MotionPrior, visible: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """As the prior expects them, about the centre of what is visible."""
    factor = torch.linalg.cholesky(prior.covariance_GCDD[1].double()).float()
    drawn = torch.randn(len(visible), 2, FRAMES * JOINTS, generator=random)
    moved = torch.einsum("cde,nce->ncd", factor, drawn).mT.reshape(*visible.shape, 2)
    return about_own_centre(moved, visible)[0]


def hidden(kind: str, random: torch.Generator) -> torch.Tensor:
    """Which joints of 12 people are visible."""
    visible = torch.ones(12, FRAMES, JOINTS, dtype=torch.bool)
    match kind:
        case "30 %" | "60 %" | "90 %":
            visible = torch.rand(visible.shape, generator=random) >= float(kind[:2]) / 100
        case "a long gap":
            visible[:, 2:14] = False
        case "the lower body":
            visible[:, :, 3:] = False
        case "all but one joint":
            visible[:] = False
            visible[:, 5, 2] = True
        case "everything":
            visible[:] = False
    return visible


KINDS = ("nothing", "30 %", "60 %", "90 %", "a long gap", "the lower body", "all but one joint", "everything")


@pytest.mark.parametrize("has_loops", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_hidden_joints_are_where_cholesky_puts_them(prior, kind, has_loops):
    random = torch.Generator().manual_seed(1)
    visible = hidden(kind, random)
    keypoints = people(prior, visible, random)
    found = ConditionalMean(prior, has_loops=has_loops)(keypoints, visible)
    wanted = prior(keypoints, visible)
    torch.testing.assert_close(found, wanted, atol=2e-3, rtol=1e-3)
    assert torch.equal(found[visible], keypoints[visible])


def test_rows_of_any_number_are_completed_as_each_alone(prior):
    random = torch.Generator().manual_seed(2)
    visible = hidden("60 %", random)
    keypoints = people(prior, visible, random)
    complete = ConditionalMean(prior)
    alone = torch.cat([complete(keypoints[i : i + 1], visible[i : i + 1]) for i in range(len(visible))])
    torch.testing.assert_close(complete(keypoints, visible), alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("num_unknown", [0, 5, 32, 61])
def test_systems_are_solved_and_rows_of_zeros_are_left_out(num_unknown, is_compiled):
    size = -(-num_unknown // BLOCK) * BLOCK
    root = torch.randn(3, num_unknown, num_unknown + 4, generator=torch.Generator().manual_seed(3))
    matrices, right = root @ root.mT, root[:, :, 0]
    more = size - num_unknown
    padded = torch.nn.functional.pad(matrices, (0, more, 0, more)), torch.nn.functional.pad(right, (0, more))
    solution, unlikely = solver(is_compiled)(*padded, BLOCK)
    wanted = torch.linalg.solve(matrices.double(), right.double())
    torch.testing.assert_close(solution[:, :num_unknown].double(), wanted, atol=1e-3, rtol=1e-3)
    assert not solution[:, num_unknown:].any()
    known = (right * wanted).sum(dim=1) + torch.logdet(matrices.double())
    torch.testing.assert_close(unlikely.double() - more * math.log(LEAST_PIVOT), known, atol=1e-2, rtol=1e-3)


def test_places_are_taken_in_order_and_the_rest_is_nowhere():
    wanted = torch.tensor([[True, False, True, True, False], [False, False, False, False, True]])
    assert first_places(wanted, 2).tolist() == [[0, 2], [4, 5]]
    assert wanted_places(wanted, 4).tolist() == [[0, 2, 3, 5], [4, 5, 5, 5]]
    assert wanted_places(wanted & False, 4).tolist() == [[5, 5, 5, 5], [5, 5, 5, 5]]
