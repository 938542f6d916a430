"""The little model, trained once."""

import pytest

from tests.serving.models import little_checkpoint


@pytest.fixture(scope="session")
def little_model(tmp_path_factory):
    """A checkpoint that tells `models.LABELS` apart."""
    return little_checkpoint(tmp_path_factory.mktemp("little"))
