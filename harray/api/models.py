"""A model as every verb takes and gives it: load one, then predict, evaluate and explain by it."""

import contextlib
import html
from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from harray.api.session import listener, working
from harray.files import Place
from harray.reporting import Reporter
from harray.tracking.registry import CHAMPION, check_model_name
from harray.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harray.api.export import Exported
    from harray.api.stores import Store
    from harray.api.train import Trained
    from harray.evaluation.report import EvaluationReport
    from harray.inference import Prediction, Predictor
    from harray.live.config import LiveConfig, TimelineConfig
    from harray.live.timeline import Segment

__all__ = ["CHAMPION", "Model", "check_model_name", "load"]


class Model:
    """A trained model.

    Attributes:
        name: as MODEL, by which every verb and command finds it again.
        checkpoint: its folder on this machine.
        workspace: where what is said of it is recorded.
        training: how it was trained; None where it was loaded.
        overrides: where weights for extraction lie on this machine and what runs them, such as
            {"poses.weights": PATH}.
    """

    def __init__(
        self,
        name: str,
        checkpoint: Path,
        workspace: Workspace,
        *,
        training: "Trained | None" = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.checkpoint = checkpoint
        self.workspace = workspace
        self.training = training
        self.overrides = overrides or {}

    @cached_property
    def predictor(self) -> "Predictor":
        """The network, ready to predict clips and keypoints as arrays."""
        from harray.inference import Predictor

        return Predictor.load(self.checkpoint, self.assignments)

    @property
    def assignments(self) -> list[str]:
        """The overrides as texts."""
        return [f"{key}={value}" for key, value in self.overrides.items()]

    @property
    def classes(self) -> list[str]:
        """The labels that it tells apart."""
        return self.predictor.classes

    @overload
    def predict(self, video: str | Path, *, reporter: Reporter | None = None) -> "Prediction": ...

    @overload
    def predict(
        self, video: Iterable[str | Path], *, reporter: Reporter | None = None
    ) -> "list[Prediction]": ...

    def predict(
        self, video: str | Path | Iterable[str | Path], *, reporter: Reporter | None = None
    ) -> "Prediction | list[Prediction]":
        """Recognise the action in a video, or in each of several.

        Args:
            video: path or URI; several give a list.

        Raises:
            ExtractionError: a video cannot be read.
            InputError: the model learned from imported skeletons, or weights for extraction are missing.
        """
        with working(self.workspace, reporter) as (_, told):
            if isinstance(video, str | Path):
                return self.predictor.predict_video(video)
            videos, predictions = list(video), []
            with told.progress("predicting", "videos") as update:
                for number, path in enumerate(videos, start=1):
                    predictions.append(self.predictor.predict_video(path))
                    update(number, len(videos))
            return predictions

    def evaluate(
        self,
        store: "str | Place | Store",
        *,
        split: str = "test",
        occlusion: bool = True,
        classes: str | Path | Mapping[str, str] | None = None,
        reporter: Reporter | None = None,
    ) -> "EvaluationReport":
        """Score it on a split of a store, as `harray.evaluate` does.

        Args:
            classes: for a store of another data set, the model's class by label, or a csv `label,class` of it.
        """
        from harray.api.evaluate import EvaluateOptions, evaluate

        options = EvaluateOptions(occlusion=occlusion, classes=classes)
        return evaluate(
            self, store, split=split, options=options, workspace=self.workspace, reporter=reporter
        )

    @contextlib.contextmanager
    def live(
        self,
        source: str | Path | int,
        *,
        config: "LiveConfig | None" = None,
        own_speed: bool = True,
        reporter: Reporter | None = None,
    ) -> "Generator[Iterator[dict[str, Any]]]":
        """Events of a camera, a stream or a recording, as they begin and end.

            with model.live("rtsp://camera") as events:
                for event in events: ...

        Args:
            source: a camera's number or device, a file, a folder of pictures, `rtsp://` or `http(s)://`.
            config: how it is followed, and when something is said of it.
            own_speed: play a recording as fast as it was taken; else as fast as it goes, without a frame left out.

        Raises:
            InputError: a source that cannot be opened, or weights that are missing.
        """
        from harray.live.recogniser import Recogniser

        with working(
            self.workspace, reporter
        ):  # the networks' own chatter, not what goes on while events are taken
            recogniser = Recogniser(self.predictor, config)
            recogniser.networks.load()
        told = listener(reporter)
        steps = recogniser.watch(str(source), own_speed=own_speed, on_message=told.say)
        with contextlib.closing(steps):
            yield (event for step in steps for event in step.events)

    def timeline(
        self,
        video: str | Path,
        *,
        config: "TimelineConfig | None" = None,
        reporter: Reporter | None = None,
    ) -> "list[Segment]":
        """Who did what from when to when in a recording of any length: the whole picture's segments first.

            for segment in model.timeline("LONG.mp4"): ...

        Raises:
            InputError: a file that cannot be read, or weights that are missing.
        """
        from harray.live.timeline import timeline

        with (
            working(self.workspace, reporter) as (_, told),
            told.progress("watching", "seconds") as update,
        ):
            return timeline(self.predictor, video, config, lambda time_sec: update(int(time_sec), 0))

    def export(
        self, to: str | Path | None = None, *, format: str = "onnx", reporter: Reporter | None = None
    ) -> "Exported":
        """Write it for programs without harray and torch, as `harray export` does.

        Args:
            to: folder; None: under the workspace, by its name.
            format: `onnx` or `openvino`.

        Raises:
            InputError: something else in that folder, weights that are missing, or a network that is not exportable.
        """
        from harray.api.export import export

        return export(self, to=to, format=format, workspace=self.workspace, reporter=reporter)

    def figure(self) -> "Figure":
        """Loss and accuracy over the epochs of its training.

        Raises:
            ValueError: it was loaded, not trained here.
        """
        from harray.evaluation.figures import training_figure

        if self.training is None:
            raise ValueError(
                f"model {self.name}: it was loaded, so the epochs of its training are not known here"
            )
        return training_figure(self.training.result.history)

    def __repr__(self) -> str:
        return f"Model({self.name!r})"

    def _repr_html_(self) -> str:
        rows = {"checkpoint": str(self.checkpoint), "classes": ", ".join(self.classes)}
        if self.training and self.training.result.val:
            val = self.training.result.val
            rows["val"] = f"top-1 {val.top1:.3f}, macro F1 {val.macro_f1:.3f}"
        body = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows.items())
        return f"<b>Model {html.escape(self.name)}</b><table>{body}</table>"


def load(
    model: str | Path | Model,
    *,
    overrides: Mapping[str, Any] | None = None,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> Model:
    """A model by its MODEL: a checkpoint folder, runs:/RUN, models:/NAME@ALIAS or models:/NAME/VERSION.

    Args:
        overrides: where weights for extraction lie on this machine and what runs them, such as
            {"poses.weights": PATH}.

    Raises:
        InputError: nothing there; the line lists the models, aliases or versions that exist.
    """
    if isinstance(model, Model):
        return model
    with working(workspace, reporter) as (place, _):
        from harray.tracking.location import tracking_uri
        from harray.tracking.registry import resolve_model

        checkpoint = resolve_model(str(model), tracking_uri(place))
    return Model(str(model), checkpoint, place, overrides=overrides)
