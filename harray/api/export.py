"""A model as a folder that other programs run, without harray and without torch."""

from pathlib import Path

from harray.api.models import Model, load
from harray.api.session import working
from harray.inference import Predictor
from harray.inference.export import Exported
from harray.inference.export import export as write_folder
from harray.names import short_name
from harray.reporting import Reporter
from harray.workspace import Workspace

__all__ = ["Exported", "export"]


def export(
    model: str | Path | Model,
    *,
    to: str | Path | None = None,
    format: str = "onnx",
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> Exported:
    """Write the pose network, the scene network and the fusion model for another runtime, and compare it with torch.

    Args:
        to: folder; an earlier export in it is replaced. None: under the workspace, by the model's name.
        format: `onnx` or `openvino`.

    Raises:
        InputError: no such model or format, something else in that folder, or weights that are missing.
        NotExportable: a network cannot be exported, or its answers there are not torch's.
    """
    with working(workspace, reporter) as (place, told):
        loaded = load(model, workspace=place)
        folder = Path(to) if to else place.out / "exports" / f"{short_name(loaded.name)}-{format}"
        told.say(f"exporting to {folder}: a minute or less")
        where = [f"{key}={value}" for key, value in loaded.overrides.items()]
        on_cpu = Predictor.load(loaded.checkpoint, where, device="cpu")  # what is written runs on any machine
        return write_folder(on_cpu, folder.absolute(), format)
