"""Counts of a run under way, and the limit of quarantined inputs at which it is stopped."""

import dataclasses
import math
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from harray.errors import InputError
from harray.schema import EXTRACTED, QUARANTINED
from harray.store.ledger import extracted_rows, quarantined_rows

JUDGED_FROM = 50  # inputs, before a share of them says anything
REASONS_SHOWN = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuarantineLimit:
    """How many of a run's inputs may be quarantined before it is stopped; one of the two is infinite."""

    share: float = math.inf  # of the inputs so far, once there are `JUDGED_FROM` of them or all
    count: float = math.inf

    @classmethod
    def parse(cls, text: str) -> "QuarantineLimit":
        """ "5%" is a share, "20" a count.

        Raises:
            InputError: neither.
        """
        try:
            number = float(text.removesuffix("%"))
        except ValueError:
            number = -1.0
        is_share = text.endswith("%")
        if not 0 <= number <= (100 if is_share else math.inf):
            raise InputError(f"--max-quarantined {text}: expected a share such as 5%, or a count such as 20")
        return cls(share=number / 100) if is_share else cls(count=number)

    def is_exceeded(self, quarantined: int, done: int, total: int) -> bool:
        """Whether to stop, with `done` of `total` inputs seen."""
        counts = done >= min(JUDGED_FROM, total)
        return quarantined > self.count or (counts and quarantined > self.share * done)

    def __str__(self) -> str:
        return f"{self.count:g}" if math.isinf(self.share) else f"{100 * self.share:g}%"


class ExtractionTally:
    """Counts of a run; `kept` outcomes stand from earlier runs and are not this run's to judge.

    Attributes:
        counts: "extracted", "quarantined" and "computed" (clips), the kept ones included.
        worker_peak_mb: the most memory that any worker had.
        noted: outcome rows of extracted videos of which something is to be said, by batch.
    """

    def __init__(self, total: int, kept: dict[str, int], limit: QuarantineLimit):
        self.total = total
        self.limit = limit
        self.kept = kept
        self.counts = Counter(kept)
        self.reasons: Counter[tuple[str, str, str]] = Counter()
        self.worker_peak_mb = 0.0
        self.noted: list[pa.Table] = []

    @property
    def done(self) -> int:
        """Inputs that have an outcome."""
        return self.counts[EXTRACTED] + self.counts[QUARANTINED]

    def named(self) -> dict[str, int]:
        """The counts for display."""
        return {name: self.counts[name] for name in (EXTRACTED, QUARANTINED, "computed")}

    def note(self) -> str:
        """What a progress bar says beside the count."""
        quarantined = self.counts[QUARANTINED]
        return f"{quarantined} quarantined" if quarantined else ""

    def add(self, outcomes: pa.Table) -> None:
        """Count a batch.

        Raises:
            InputError: more is quarantined than the limit allows.
        """
        self.counts.update(outcomes["status"].to_pylist())
        self.counts["computed"] += pc.sum(outcomes["computed"]).as_py() or 0
        self.worker_peak_mb = max(self.worker_peak_mb, pc.max(outcomes["peak_mb"]).as_py() or 0.0)
        told = outcomes.filter(pc.field("message").is_valid())
        if len(told):
            self.noted.append(extracted_rows(told))
        for row in quarantined_rows(outcomes).to_pylist():
            self.reasons[row["stage"], row["error"], row["message"]] += 1
        self._refuse_excess()

    def _refuse_excess(self) -> None:
        quarantined = self.counts[QUARANTINED] - self.kept.get(QUARANTINED, 0)
        done = self.done - sum(self.kept.values())
        if not self.limit.is_exceeded(quarantined, done, self.total - sum(self.kept.values())):
            return
        commonest = "; ".join(
            f"{count} x {stage}: {error}: {message}"
            for (stage, error, message), count in self.reasons.most_common(REASONS_SHOWN)
        )
        raise InputError(
            f"stopped: {quarantined} of {done} inputs quarantined, more than {self.limit} ({commonest}); what was "
            "finished is kept; mend the cause, then `harray store retry STORE` and the same command"
        )
