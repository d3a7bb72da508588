"""`audit.exporters`: what is refused, what exporters are made of, and that no secret of theirs is anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from fairlead.config import ConfigError, Loader, SecretUnavailable, canonical_json, resolve_secrets, to_engine_bytes
from fairlead.config.secrets import files, secret_files
from fairlead.exporting.settings import Rotation, exporters_of
from fairlead.notification.model import Retry
from tests.unit.config.samples import VALID, load, write
from tests.unit.config.test_notifications import ALL, KEYS, SIGNING

FILE = "name: disk, kind: file, path: /var/log/audit.jsonl"
HOOK = "name: hook, kind: cloudevents, url: 'https://siem.example/in', secret: {fromEnv: SIGNING_0}"
OTLP = "name: otlp, kind: otlp, url: 'https://collector.example:4317'"


def exporting(*entries: str) -> str:
    return VALID + "audit:\n  exporters:\n" + "".join(f"    - {{{entry}}}\n" for entry in entries)


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ("name: x, kind: syslog", "kind", "must be 'file', 'stdout', 'cloudevents', 'otlp' or 'otlp-traces'"),
        ("name: x, kind: file", "path", "is missing: kind: file needs it"),
        ("name: x, kind: file, path: audit.jsonl", "path", "must be an absolute path"),
        (f"{FILE}, url: 'https://siem.example/'", "url", "means nothing with kind: file"),
        (f"{FILE}, rotate: {{files: 0}}", "rotate.files", "must be at least 1"),
        (f"{FILE}, rotat: {{files: 1}}", "rotat", "did you mean rotate?"),
        ("name: x, kind: stdout, path: /x", "path", "means nothing with kind: stdout"),
        ("name: x, kind: cloudevents, secret: {fromEnv: SIGNING_0}", "url", "is missing"),
        ("name: x, kind: cloudevents, url: 'https://siem.example/'", "secret", "is missing"),
        (f"{HOOK}, protocol: http", "protocol", "means nothing with kind: cloudevents"),
        (HOOK.replace("https://siem", "http://siem"), "url", "is http to another machine"),
        (HOOK.replace("SIGNING_0", "BAD"), "secret", "must be whsec_"),
        (HOOK.replace("{fromEnv: SIGNING_0}", "canary-word"), "secret", "a secret is never written"),
        (f"{HOOK}, headers: {{authorization: canary-word}}", "headers.authorization", "looks like a credential"),
        (f"{OTLP}, secret: {{fromEnv: SIGNING_0}}", "secret", "means nothing with kind: otlp"),
        (f"{OTLP}, headers: {{grpc-timeout: '1'}}", "headers.grpc-timeout", "gRPC keeps for itself"),
        (f"{OTLP}, protocol: thrift", "protocol", "must be 'grpc' or 'http'"),
        (f"{OTLP}, tls: {{caFile: /nowhere/ca.pem}}", "tls.caFile", "cannot be read"),
        (f"{OTLP}, batch: {{size: 4MiB}}", "batch.size", "must be between 1KiB and 3MiB"),
        (f"{OTLP}, retry: {{initial: 1m, max: 1s}}", "retry.initial", "must not be longer than max"),
        (OTLP.replace("'https://collector.example:4317'", "{fromEnv: MISSING}"), "url", "MISSING is not set"),
        (OTLP.replace("'https://collector.example:4317'", "{fromEnv: PLAIN}"), "url", "is http to another machine"),
    ],
)
def test_what_is_refused(written: str, path: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Loader(None, {**ALL, "PLAIN": "http://10.0.0.1/canary-path"}).load_text(exporting(written))
    found = {violation.path: violation.message for violation in caught.value.violations}
    where = f"audit.exporters[0].{path}"
    assert message in found.get(where, found.get(f"{where}[0]", "")), found
    assert "canary" not in str(found)


def test_names_are_unique_and_so_are_the_places_that_are_written_to() -> None:
    with pytest.raises(ConfigError) as caught:
        load(exporting(FILE, FILE, "name: a, kind: stdout", "name: b, kind: stdout"))
    found = {violation.path: violation.message for violation in caught.value.violations}
    assert "the exporter 'disk' is defined twice" in found["audit.exporters[1].name"]
    with pytest.raises(ConfigError) as caught:
        load(exporting(FILE, FILE.replace("disk", "again"), "name: a, kind: stdout", "name: b, kind: stdout"))
    found = {violation.path: violation.message for violation in caught.value.violations}
    assert found == {
        "audit.exporters[1].path": "is where exporter disk writes to",
        "audit.exporters[3].kind": "is where exporter a writes to",
    }


def test_what_an_exporter_is_made_of(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificates = authority.cert_pem.bytes().decode()
    trusted = write(tmp_path / "ca.pem", certificates)
    entries = (
        f"{FILE}, rotate: {{size: 1MiB, age: 1h, files: 3}}, start: next",
        "name: out, kind: stdout, batch: {records: 5, size: 2KiB}, retry: {initial: 2s, max: 4s}",
        "name: hook, kind: cloudevents, url: {fromEnv: URL}, secret: [{fromEnv: SIGNING_0}, {fromEnv: SIGNING_1}], "
        f"headers: {{Authorization: {{fromEnv: HEADER}}}}, timeout: 3s, tls: {{caFile: {trusted}}}",
        f"{OTLP}, protocol: http, compression: none, includeRecord: true",
    )
    config = Loader(None, ALL).load_text(exporting(*entries)).config
    resolved = resolve_secrets(config, ALL)
    disk, out, hook, otlp = exporters_of(config, resolved)
    assert (disk.path, disk.from_start) == ("/var/log/audit.jsonl", False)
    assert disk.rotation == Rotation(1 << 20, 3_600_000_000_000, 3)
    assert (out.batch_records, out.batch_bytes, out.retry) == (5, 2048, Retry(1, 2_000, 4_000))
    assert (hook.url, hook.keys, hook.headers) == (ALL["URL"], tuple(KEYS), {"authorization": ALL["HEADER"]})
    assert (hook.trusted, hook.timeout_seconds) == (certificates, 3.0)
    assert (otlp.protocol, otlp.gzip, otlp.include_record, otlp.from_start) == ("http", False, True, True)
    # A changed file is a change of what runs.
    assert trusted in secret_files(config)
    assert trusted in files({"audit": {"exporters": [{"tls": {"caFile": str(trusted)}}]}})
    for secret in (ALL["URL"], SIGNING["SIGNING_1"][6:], "canary-header"):
        assert secret in resolved.to_hide()
    shown = (repr(config), canonical_json(config), repr(resolved), repr((disk, out, hook, otlp)))
    for text in (*shown, str(resolved.to_proto()), to_engine_bytes(config).decode("utf-8", "replace")):
        assert "canary" not in text and SIGNING["SIGNING_0"][6:] not in text
    trusted.unlink()
    with pytest.raises(SecretUnavailable, match=r"audit/exporters/hook/tls/caFile: file .* cannot be read"):
        resolve_secrets(config, ALL)


def test_a_stored_text_from_before_there_were_exporters_has_none() -> None:
    assert load(VALID).audit.exporters == ()
