"""An exporter's settings → its destination. Libraries are loaded by the first one that needs them: most sidecars need
none."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.exporting.destination import Destination
from fairlead.exporting.file import FileDestination
from fairlead.exporting.settings import Exporter
from fairlead.exporting.stdout import StdoutDestination


class Places:
    """Makes destinations. Belongs to one event loop."""

    def __init__(self, clock: Callable[[], int], program_version: str) -> None:
        """`clock` gives Unix nanoseconds."""
        self._clock = clock
        self._program_version = program_version
        self._stdout = StdoutDestination()

    def destination(self, exporter: Exporter) -> Destination:
        """The destination of an exporter; nothing is opened or connected yet."""
        match exporter.kind:
            case "file":
                return FileDestination(exporter)
            case "stdout":
                return self._stdout
            case "cloudevents":
                from fairlead.exporting.webhook import WebhookDestination

                return WebhookDestination(exporter, self._clock, self._program_version)
            case "otlp" if exporter.protocol == "http":
                from fairlead.exporting.otlp.http_collector import HttpCollector

                return HttpCollector(exporter, self._clock, self._program_version)
            case "otlp":
                from fairlead.exporting.otlp.grpc_collector import GrpcCollector

                return GrpcCollector(exporter, self._program_version)
