"""An exporter's settings → its destination. Libraries are loaded by the first one that needs them: most sidecars need
none."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.audit.store import Reader
from fairlead.audit.watch import Feed
from fairlead.exporting.destination import Destination
from fairlead.exporting.file import FileDestination
from fairlead.exporting.settings import Exporter
from fairlead.exporting.stdout import StdoutDestination
from fairlead.exporting.thread import OneAtATime


class Places:
    """Makes destinations. Belongs to one event loop."""

    def __init__(self, clock: Callable[[], int], program_version: str, reader: Reader, feed: Feed) -> None:
        """`clock` gives Unix nanoseconds; `reader` is the store that the log is in, `feed` tells how far it is."""
        self._reader = reader
        self._clock = clock
        self._program_version = program_version
        self._computing = OneAtATime(lambda: feed.sequence)
        self._stdout = StdoutDestination(self._computing)

    def destination(self, exporter: Exporter) -> Destination:
        """The destination of an exporter; nothing is opened or connected yet."""
        match exporter.kind:
            case "file":
                return FileDestination(exporter, self._computing)
            case "stdout":
                return self._stdout
            case "cloudevents":
                from fairlead.exporting.webhook import WebhookDestination

                return WebhookDestination(exporter, self._clock, self._program_version, self._computing)
            case "otlp" if exporter.protocol == "http":
                from fairlead.exporting.otlp.http_collector import HttpCollector

                return HttpCollector(exporter, self._clock, self._program_version, self._computing)
            case "otlp":
                from fairlead.exporting.otlp.grpc_collector import GrpcCollector

                return GrpcCollector(exporter, self._program_version, self._computing)
            case "otlp-traces":
                return self._traces(exporter)

    def _traces(self, exporter: Exporter) -> Destination:
        from fairlead.exporting.otlp.grpc_collector import GrpcCollector
        from fairlead.exporting.otlp.http_collector import HttpCollector
        from fairlead.exporting.otlp.signals import Traces
        from fairlead.tracing.stories import Stories
        from fairlead.tracing.tracing import Tracing

        signal = Traces(self._program_version, Tracing(Stories(self._reader), exporter.sample))
        if exporter.protocol == "http":
            return HttpCollector(exporter, self._clock, self._program_version, self._computing, signal)
        return GrpcCollector(exporter, self._program_version, self._computing, signal)
