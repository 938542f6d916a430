from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harray.config import digest, dump, flatten, from_dict, load, parse_overrides, to_dict, with_overrides
from harray.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Encoder:
    FORMER: ClassVar[dict[str, str]] = {"width": "hidden_size"}

    hidden_size: int = 128
    lags: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Model:
    encoder: Encoder = field(default_factory=Encoder)
    dropout: float = 0.1
    weights: str | None = None
    enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class Experiment:
    model: Model = field(default_factory=Model)
    name: str = "plain"


experiments = st.builds(
    Experiment,
    model=st.builds(
        Model,
        encoder=st.builds(
            Encoder, hidden_size=st.integers(), lags=st.lists(st.integers(), max_size=3).map(tuple)
        ),
        dropout=st.floats(allow_nan=False),
        weights=st.none() | st.text(),
        enabled=st.booleans(),
    ),
    name=st.text(),
)


def test_former_names_go_on_working_in_commands_files_and_checkpoints(tmp_path):
    assert parse_overrides(Experiment(), ["model.encoder.width=3"]) == {"model.encoder.hidden_size": 3}
    assert with_overrides(Experiment(), {"model.encoder.width": 3}).model.encoder.hidden_size == 3
    (tmp_path / "old.yaml").write_text("model: {encoder: {width: 3}}")
    assert load(Experiment, tmp_path / "old.yaml").model.encoder.hidden_size == 3
    assert from_dict(Encoder, {"width": 3}).hidden_size == 3


@given(experiments, experiments)
def test_overriding_with_a_flattened_config_gives_that_config(start, target):
    assert with_overrides(start, flatten(target)) == target
    assert flatten(with_overrides(start, flatten(target))) == flatten(target)


@given(experiments)
def test_a_config_survives_its_plain_form(config):
    assert from_dict(Experiment, to_dict(config)) == config


def test_a_dumped_config_replays(tmp_path):
    config = Experiment(model=Model(encoder=Encoder(lags=(4,)), weights="null"), name="1e-3")
    dump(config, tmp_path / "config.yaml")
    assert load(Experiment, tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("model.encoder.hidden_size=256", "model.encoder.hidden_size", 256),
        ("model.encoder.lags=[1, 4]", "model.encoder.lags", (1, 4)),
        ("model.dropout=1e-2", "model.dropout", 0.01),
        ("model.weights=null", "model.weights", None),
        ("model.weights=a=b.pt", "model.weights", "a=b.pt"),
        ("model.enabled=false", "model.enabled", False),
        ("name=7", "name", "7"),
    ],
)
def test_command_line_text_becomes_the_fields_type(text, name, value):
    assert parse_overrides(Experiment(), [text]) == {name: value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.encoder.hiden_size=1", "nearest: model.encoder.hidden_size"),
        ("hidden_size=1", "nearest: model.encoder.hidden_size"),
        ("qqqq=1", "sections: model, name"),
        ("model.dropout=much", "model.dropout: found 'much', expected float"),
        ("model.encoder=3", "unknown key 'model.encoder'"),
        ("dropout", "expected key=value"),
    ],
)
def test_a_wrong_override_is_refused_in_words(text, message):
    with pytest.raises(InputError) as refusal:
        parse_overrides(Experiment(), [text])
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", ["- 1\n", "model: {encoder: {x: 1}}\n", "a: [\n"])
def test_a_broken_config_file_is_refused(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(InputError):
        load(Experiment, path)


def test_a_digest_depends_on_values_alone():
    assert digest(Experiment()) == digest(to_dict(Experiment()))
    assert digest(Experiment()) != digest(Experiment(name="other"))
