"""Exporters of the audit log: how many records a second each kind sends to a receiver that only takes them, and whether
calls feel all of them at once. Real records of calls that were admitted and settled, in a daemon of its own."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from bench import configuration
from bench.audit import stub
from bench.processes import FAIRLEAD, Sidecar, in_turns, load, printing_its_address
from bench.results import Result
from fairlead.v1 import audit_service_pb2

# Each is two records.
CALLS = 5_000
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


class Exported:
    """A daemon whose exporters are changed while it runs."""

    def __init__(self, directory: Path, upstream: str, http: str, grpc: str) -> None:
        secret = directory / "secret"
        secret.write_text(SECRET)
        self._directory = directory
        self._upstream = upstream
        self._kinds: Mapping[str, Mapping[str, Any]] = {
            "file": {"kind": "file"},
            "CloudEvents": {"kind": "cloudevents", "url": f"http://{http}/", "secret": {"fromFile": str(secret)}},
            "OTLP logs, gRPC": {"kind": "otlp", "url": f"http://{grpc}"},
            "OTLP logs, HTTP": {"kind": "otlp", "protocol": "http", "url": f"http://{http}"},
            "traces": {"kind": "otlp-traces", "url": f"http://{grpc}"},
        }
        self._names = count(1)
        self.sidecar = Sidecar(directory, self._text([]))

    @property
    def kinds(self) -> list[str]:
        """What is measured."""
        return list(self._kinds)

    def use(self, *kinds: str, start: str) -> list[str]:
        """Applies a configuration with new exporters of these kinds, and nothing of the ones before; their names."""
        exporters = []
        for kind in kinds:
            name = f"bench-{next(self._names)}"
            path = {"path": str(self._directory / f"{name}.jsonl")} if kind == "file" else {}
            exporters.append({"name": name, "start": start, **self._kinds[kind], **path})
        self.sidecar.config.write_text(self._text(exporters))
        command = [FAIRLEAD, "config", "apply", self.sidecar.config, "--data", self.sidecar.data]
        subprocess.run(command, check=True, capture_output=True)
        return [str(exporter["name"]) for exporter in exporters]

    def _text(self, exporters: list[dict[str, Any]]) -> str:
        config = json.loads(configuration.text(self._upstream, self._upstream))
        return json.dumps({**config, "audit": {"exporters": exporters}})


def rate(exported: Exported, kind: str) -> float:
    """Records a second of one exporter that begins at the first record."""
    with stub(exported.sidecar) as audit:
        head = audit.GetAuditLog(audit_service_pb2.GetAuditLogRequest()).head_sequence
        consumer = "export:" + exported.use(kind, start="first")[0]
        began, first = 0.0, 0
        while True:
            listed = audit.ListConsumers(audit_service_pb2.ListConsumersRequest()).consumers
            at = next((one.sequence for one in listed if one.name == consumer), 0)
            if at and not began:
                # Connected, and warm.
                began, first = time.perf_counter(), at
            if at >= head:
                return float((head - first) / (time.perf_counter() - began))
            time.sleep(0.01)


def measured(directory: Path, upstream: str) -> list[Result]:
    """Everything."""
    with (
        printing_its_address([sys.executable, "-m", "bench.sink", "http"]) as http,
        printing_its_address([sys.executable, "-m", "bench.sink", "grpc"]) as grpc,
    ):
        exported = Exported(directory, upstream, http, grpc)
        try:
            exported.sidecar.start()
            return _rates(exported) + _felt(exported)
        finally:
            exported.sidecar.kill()


def _rates(exported: Exported) -> list[Result]:
    load("settle", exported.sidecar.address, configuration.TOKEN, CALLS)
    return [Result(f"records exported: {kind}", rate(exported, kind), "1/s") for kind in exported.kinds]


def _felt(exported: Exported) -> list[Result]:
    def admit(*kinds: str) -> dict[str, float]:
        exported.use(*kinds, start="next")
        return load("admit", exported.sidecar.address, configuration.TOKEN, 1, 1, 2)

    none, all_of_them = in_turns(admit, lambda: admit(*exported.kinds))
    name = f"{len(exported.kinds)} exporters"
    return [
        Result("Admit p50, no exporter", none["p50"], "us"),
        Result(f"Admit p50, {name}", all_of_them["p50"], "us", "none", all_of_them["p50"] / none["p50"]),
        Result(f"Admit p99, {name}", all_of_them["p99"], "us", "none", all_of_them["p99"] / none["p99"]),
    ]


def main() -> None:
    """These figures alone, with a load client that is built."""
    import tempfile

    from bench.processes import LOAD
    from bench.results import table

    with (
        tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name,
        printing_its_address([str(LOAD), "provider", "0"]) as upstream,
    ):
        print(table(measured(Path(name), upstream)))


if __name__ == "__main__":
    main()
