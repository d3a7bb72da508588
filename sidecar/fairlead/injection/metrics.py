"""What a scrape sees of the webhook. Labels are closed sets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

# injected: a patch; unchanged: it has the sidecar, or asks for none; refused: it cannot have it; malformed: no review,
# or one that is too large; failed: a fault of the webhook, the API server got no answer.
OUTCOMES = ("injected", "unchanged", "refused", "malformed", "failed")
_BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_PREFIX = "fairlead_webhook_"


class Counted:
    """Reviews since the start."""

    def __init__(self) -> None:
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._in_bucket = [0] * (len(_BOUNDS_SECONDS) + 1)
        self._sum_seconds = 0.0

    def ended(self, outcome: str) -> None:
        """A review ended like this, one of OUTCOMES."""
        self._outcomes[outcome] += 1

    def took(self, seconds: float) -> None:
        """A review was answered in this time, from its last byte on."""
        index = next((i for i, bound in enumerate(_BOUNDS_SECONDS) if seconds <= bound), len(_BOUNDS_SECONDS))
        self._in_bucket[index] += 1
        self._sum_seconds += seconds

    def page(self, expires: datetime, replaced: bool) -> str:
        """The page in Prometheus' text format: with the end of the certificate, and whether its files are in use."""
        families = (
            ("reviews_total", "counter", "Reviews by how they ended.", self._by_outcome()),
            ("review_seconds", "histogram", "Time from the last byte of a review to its answer.", self._latency()),
            (
                "certificate_expiry_timestamp_seconds",
                "gauge",
                "When the certificate that is shown ends, in Unix seconds.",
                iter([("", "", expires.timestamp())]),
            ),
            (
                "certificate_failing",
                "gauge",
                "1 when the files of the certificate cannot be used, so that the last one stays.",
                iter([("", "", 0 if replaced else 1)]),
            ),
        )
        text = []
        for name, kind, told, samples in families:
            text.append(f"# HELP {_PREFIX}{name} {told}\n# TYPE {_PREFIX}{name} {kind}\n")
            text += [f"{_PREFIX}{name}{suffix}{labels} {value:.15g}\n" for suffix, labels, value in samples]
        return "".join(text)

    def _by_outcome(self) -> Iterator[tuple[str, str, float]]:
        for outcome, number in self._outcomes.items():
            yield "", f'{{outcome="{outcome}"}}', number

    def _latency(self) -> Iterator[tuple[str, str, float]]:
        below = 0
        for bound, number in zip((*_BOUNDS_SECONDS, "+Inf"), self._in_bucket, strict=True):
            below += number
            yield "_bucket", f'{{le="{bound}"}}', below
        yield "_sum", "", self._sum_seconds
        yield "_count", "", below
