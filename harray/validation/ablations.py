"""Parts of the model that a variant can be trained without."""

from typing import Any

from harray.errors import InputError

PARTS: dict[str, dict[str, Any]] = {  # part -> overrides of ModelConfig that leave it out
    "pcm": {"pcm.enabled": False, "pcm.fill": "zero"},
    "pcm-linear": {"pcm.enabled": False, "pcm.fill": "linear"},
    "differences": {"mme.differences": False},
    "scene": {"cfn.enabled": False},
    "people": {"mme.people_attention": False},
}


def variants_without(parts: list[str]) -> dict[str, dict[str, Any]]:
    """`full` and one variant without each part.

    Raises:
        InputError: an unknown part.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise InputError(f"part {unknown[0]!r}: expected one of {', '.join(PARTS)}")
    return {"full": {}} | {f"without {part}": PARTS[part] for part in parts}
