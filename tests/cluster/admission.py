"""`fairlead webhook` as a process that the API server calls, configured as deploy/manifests/webhook.yaml says."""

from __future__ import annotations

import base64
import copy
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

from fairlead.top.metrics import read
from tests.contract.test_deployment import MANIFESTS, ROOT, documents
from tests.unit.injection.test_webhook import issue

from .apiserver import HOST, LIMIT_SECONDS, LOOK_SECONDS, Cluster, Document, Refused

ASKS = {"fairlead/inject": "true"}
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


def pod(annotations: dict[str, str] | None = None, **spec: Any) -> Document:
    """An agent's pod that `restricted` lets through."""
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    made: Document = {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "agent", "image": "registry.example/agent:1", "securityContext": restricted}],
    }
    metadata = {"generateName": "agent-", "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**made, **spec}}


def containers(made: Document) -> list[str]:
    """Names, init containers first."""
    spec = made["spec"]
    return [each["name"] for each in (*spec.get("initContainers", ()), *spec["containers"])]


def until(look: Callable[[], bool]) -> None:
    """Looks again and again: nobody tells when the API server has seen a configuration."""
    deadline, idle = time.monotonic() + LIMIT_SECONDS, threading.Event()
    while not look():
        assert time.monotonic() < deadline, "it was never seen"
        idle.wait(LOOK_SECONDS)


class Hook:
    """A webhook that runs, and its configuration in the cluster."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster, self.directory = cluster, directory
        self.authority = trustme.CA()
        issue(self.authority, directory)
        self._process: subprocess.Popen[str] | None = None
        self._health = ""
        self.address = f"{HOST}:0"

    def start(self) -> None:
        """Runs it, at the address that it had before."""
        command = [sys.executable, "-m", "fairlead.cli.main", "webhook"]
        command += ["--listen", self.address, "--health-listen", f"{HOST}:0", "--image", "registry.example/fairlead:1"]
        command += ["--tls-cert", str(self.directory / "tls.crt"), "--tls-key", str(self.directory / "tls.key")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "sidecar")}
        self._process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        line = self.wait_for("serving")
        self.address, self._health = line["webhook"], line["health"]

    def stop(self) -> None:
        """Ends it as a pod's end does."""
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(60) == 0
            assert self._process.stderr is not None
            self._process.stderr.close()
            self._process = None

    def wait_for(self, message: str) -> dict[str, Any]:
        """The next line of its log with this message."""
        assert self._process is not None and self._process.stderr is not None
        for text in self._process.stderr:
            line: dict[str, Any] = json.loads(text)
            if line["message"] == message:
                return line
        raise AssertionError(f"it never said {message}")

    def reviews(self) -> dict[str, float]:
        """How many reviews ended in each way."""
        with urllib.request.urlopen(f"http://{self._health}/metrics", timeout=30) as answer:
            page = read(answer.read().decode())
        return page.by("outcome", "fairlead_webhook_reviews_total")

    def bundle(self, *authorities: trustme.CA) -> str:
        """What the API server verifies it with."""
        return base64.b64encode(b"".join(each.cert_pem.bytes() for each in authorities or (self.authority,))).decode()

    def configuration(self) -> Document:
        """That of deploy/, with an address in place of a Service."""
        (found,) = [
            copy.deepcopy(document)
            for document in documents(MANIFESTS / "webhook.yaml")
            if document["kind"] == "MutatingWebhookConfiguration"
        ]
        (hook,) = found["webhooks"]
        path = hook["clientConfig"]["service"]["path"]
        hook["clientConfig"] = {"url": f"https://{self.address}{path}", "caBundle": self.bundle()}
        return found


@contextmanager
def admission(cluster: Cluster, directory: Path, namespace: str, **changes: Any) -> Iterator[Hook]:
    """A webhook that is called for pods of the namespace, its entry changed like this; gone after the block."""
    hook = Hook(cluster, directory)
    hook.start()
    try:
        configuration = hook.configuration()
        configuration["webhooks"][0] |= changes
        cluster.apply([configuration])
        try:
            until(lambda: hook_sees(cluster, namespace))
            yield hook
        finally:
            cluster.call("DELETE", f"{_CONFIGURATIONS}/{configuration['metadata']['name']}")
            until(lambda: not hook_sees(cluster, namespace))
    finally:
        hook.stop()


def hook_sees(cluster: Cluster, namespace: str) -> bool:
    """Whether a pod that asks would get the sidecar, or wait for the webhook in vain."""
    try:
        return "fairlead" in containers(cluster.make_pod(namespace, pod(ASKS), dry_run=True).document)
    except Refused as refused:
        assert "webhook" in str(refused), refused
        return True


@contextmanager
def adding_a_container(cluster: Cluster, name: str, namespace: str) -> Iterator[None]:
    """Somebody else's webhook, which adds a container to every new pod of the namespace."""
    step = {"op": "add", "path": "/spec/containers/-", "value": pod()["spec"]["containers"][0] | {"name": "added"}}

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))["request"]
            there = "added" in containers(request["object"])
            patch = base64.b64encode(json.dumps([] if there else [step]).encode()).decode()
            response = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
            body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *given: Any) -> None:
            """Nothing is said."""

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    with ThreadingHTTPServer((HOST, 0), Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        configuration: Document = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [
                {
                    "name": f"{name}.example.org",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "rules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ],
                    "clientConfig": {
                        "url": f"https://{HOST}:{server.server_address[1]}/",
                        "caBundle": base64.b64encode(authority.cert_pem.bytes()).decode(),
                    },
                }
            ],
        }

        def seen() -> bool:
            return "added" in containers(cluster.make_pod(namespace, pod(), dry_run=True).document)

        try:
            cluster.apply([configuration])
            until(seen)
            yield
            cluster.call("DELETE", f"{_CONFIGURATIONS}/{name}")
            until(lambda: not seen())
        finally:
            server.shutdown()
            thread.join()
