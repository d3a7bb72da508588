"""What a collector's answer means. Pure.

A partial success is final: the specification forbids to send its records again. What a collector refuses as a whole is
sent again, although the specification would drop it: a record of an audit log is not given up without a decision.
"""

from __future__ import annotations

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2

from fairlead.exporting.destination import TAKEN, Outcome


def outcome_of(response: logs_service_pb2.ExportLogsServiceResponse, records: int) -> Outcome:
    """Of a request with so many records that the collector has taken."""
    refused = min(max(0, response.partial_success.rejected_log_records), records)
    if not refused:
        return TAKEN
    return Outcome(True, "partial success: the collector has refused some records", refused=refused)
