"""A control plane on loopback: etcd and kube-apiserver, without controllers and nodes. Objects are stored as they were
admitted, and nothing runs them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.1"
LIMIT_SECONDS = 180.0
# Between two looks at a program that nobody can wait for.
LOOK_SECONDS = 0.25
TOKEN = "token-of-the-tests"
Document = dict[str, Any]


class Refused(Exception):
    """The API server refused; the message is what it said."""


@dataclass(frozen=True)
class Made:
    """An object as it was stored, and the warnings beside it."""

    document: Document
    warnings: list[str]


def program(name: str) -> str:
    """Where a program is: in KUBEBUILDER_ASSETS, else on the PATH. Fails plainly when it is nowhere."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    found = shutil.which(name, path=assets) if assets else None
    found = found or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: put it on the PATH, or into the folder that KUBEBUILDER_ASSETS names")
    return found


def free_port() -> int:
    """A port that was free just now."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        port: int = listening.getsockname()[1]
    return port


class Cluster:
    """The API server, as an administrator sees it."""

    def __init__(self, port: int, authority: Path, directory: Path) -> None:
        self._address = f"https://{HOST}:{port}"
        self._context = ssl.create_default_context(cafile=str(authority))
        self.kubeconfig = directory / "kubeconfig"
        # kubectl keeps what it has discovered, and discovers again what is not there.
        self._home = directory / "home"
        self._home.mkdir()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "c", "cluster": {"server": self._address, "certificate-authority": str(authority)}},
            ],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def kubectl(self, *arguments: str, given: str | None = None) -> tuple[str, str]:
        """What it prints, and its warnings; raises Refused."""
        done = subprocess.run(
            [program("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=given,
            env={**os.environ, "HOME": str(self._home)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise Refused(done.stderr)
        return done.stdout, done.stderr

    def apply(self, documents: list[Document], namespace: str | None = None, *, dry_run: bool = False) -> list[Made]:
        """Server-side and strictly: first as a dry run of all, then, unless that was asked for, for real."""
        text = yaml.safe_dump_all(documents)
        where = ["--namespace", namespace] if namespace else []
        command = ["apply", "--server-side", "--validate=strict", "--filename=-", "--output=json", *where]
        output, warnings = self.kubectl(*command, "--dry-run=server", given=text)
        if not dry_run:
            output, warnings = self.kubectl(*command, given=text)
        found = json.loads(output)
        items = found["items"] if found["kind"] == "List" else [found]
        return [Made(item, warnings.splitlines()) for item in items]

    def call(self, method: str, path: str, document: Document | None = None) -> Made:
        """One request of the API; raises Refused."""
        body = None if document is None else json.dumps(document).encode()
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        request = urllib.request.Request(self._address + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60, context=self._context) as answer:
                warnings = answer.headers.get_all("warning") or []
                return Made(json.loads(answer.read()), [warning.partition('"')[2][:-1] for warning in warnings])
        except urllib.error.HTTPError as error:
            raise Refused(json.loads(error.read())["message"]) from None

    def make_pod(self, namespace: str, pod: Document, *, dry_run: bool = False) -> Made:
        """Creates a pod strictly, as it comes from a controller: with a generated name."""
        question = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        return self.call("POST", f"/api/v1/namespaces/{namespace}/pods{question}", pod)

    def make_account(self, namespace: str, name: str = "default") -> None:
        """A ServiceAccount."""
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        self.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)

    def ready(self) -> bool:
        """Whether it serves."""
        request = urllib.request.Request(f"{self._address}/readyz", headers={"authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def control_plane(directory: Path) -> Iterator[Cluster]:
    """etcd and kube-apiserver, until the block ends."""
    etcd, api = program("etcd"), program("kube-apiserver")
    client, peer, port = free_port(), free_port(), free_port()
    authority = trustme.CA()
    issued = authority.issue_cert(HOST, "localhost")
    files = {name: directory / name for name in ("ca.pem", "tls.crt", "tls.key", "accounts.key", "tokens")}
    authority.cert_pem.write_to_path(str(files["ca.pem"]))
    issued.cert_chain_pems[0].write_to_path(str(files["tls.crt"]))
    issued.private_key_pem.write_to_path(str(files["tls.key"]))
    accounts = ec.generate_private_key(ec.SECP256R1())
    files["accounts.key"].write_bytes(
        accounts.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    files["tokens"].write_text(f'{TOKEN},tests,tests,"system:masters"\n')
    store = f"http://{HOST}:{client}"
    with (
        _running(
            directory / "etcd.log",
            *(etcd, "--data-dir", str(directory / "etcd"), "--unsafe-no-fsync"),
            *("--listen-client-urls", store, "--advertise-client-urls", store),
            *("--listen-peer-urls", f"http://{HOST}:{peer}"),
        ) as store_process,
        _running(
            directory / "kube-apiserver.log",
            *(api, f"--etcd-servers={store}", f"--bind-address={HOST}", f"--secure-port={port}"),
            *(f"--advertise-address={HOST}", "--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=RBAC"),
            *(f"--tls-cert-file={files['tls.crt']}", f"--tls-private-key-file={files['tls.key']}"),
            *("--service-account-issuer=https://kubernetes.default.svc", f"--token-auth-file={files['tokens']}"),
            f"--service-account-key-file={files['accounts.key']}",
            f"--service-account-signing-key-file={files['accounts.key']}",
            "--endpoint-reconciler-type=none",
        ) as api_process,
    ):
        cluster = Cluster(port, files["ca.pem"], directory)
        deadline, idle = time.monotonic() + LIMIT_SECONDS, threading.Event()
        while not cluster.ready():
            for process, name in ((store_process, "etcd"), (api_process, "kube-apiserver")):
                assert process.poll() is None, (directory / f"{name}.log").read_text()[-2000:]
            assert time.monotonic() < deadline, (directory / "kube-apiserver.log").read_text()[-2000:]
            idle.wait(LOOK_SECONDS)
        yield cluster


@contextmanager
def _running(log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
