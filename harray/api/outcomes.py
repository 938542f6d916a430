"""What a verb came to, also where the tracking store did not take it."""

from harray.tracking.runs import NotRecorded, outcome_of

__all__ = ["NotRecorded", "outcome_of"]
