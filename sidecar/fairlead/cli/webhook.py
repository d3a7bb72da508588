"""`fairlead webhook`: adds the sidecar to pods at admission."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead.injection.certificate import Certificate
    from fairlead.injection.settings import Settings

_UNUSABLE, _ADDRESS = 2, 4


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    from fairlead.cli.injection_options import add_settings

    parser = subparsers.add_parser(
        "webhook",
        help="add the sidecar to pods of Kubernetes as they are made",
        description='Serves the mutating admission webhook: a new pod with the annotation fairlead/inject: "true" gets '
        "the sidecar, or is refused with the reasons; all others are let through. The certificate is read again when "
        "its files change.",
        epilog="Exit codes: 0 stopped as asked, 2 usage or a certificate that cannot be used, 4 address in use.",
    )
    parser.add_argument("--listen", default="0.0.0.0:7443", metavar="HOST:PORT", help="default: 0.0.0.0:7443; 0 picks")
    parser.add_argument(
        "--health-listen",
        default="0.0.0.0:7402",
        metavar="HOST:PORT",
        help="health and metrics, without TLS; default: 0.0.0.0:7402; 0 picks",
    )
    parser.add_argument("--tls-cert", type=Path, required=True, metavar="FILE", help="certificate chain, PEM")
    parser.add_argument("--tls-key", type=Path, required=True, metavar="FILE", help="private key, PEM")
    parser.add_argument("--log-level", choices=("debug", "info", "warn", "error"), default="info")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code."""
    from fairlead import log
    from fairlead.cli.injection_options import settings_of
    from fairlead.config.sections.listen import address
    from fairlead.injection.certificate import Certificate, CertificateUnusable
    from fairlead.injection.settings import InvalidSetting

    addresses = []
    for name in ("listen", "health_listen"):
        text = getattr(arguments, name)
        try:
            host, _, port = address(text).rpartition(":")
        except ValueError as error:
            print(f"fairlead webhook: --{name.replace('_', '-')} `{text}` {error}", file=sys.stderr)
            return _UNUSABLE
        addresses.append((host.strip("[]"), int(port)))
    try:
        settings = settings_of(arguments)
        certificate = Certificate(arguments.tls_cert, arguments.tls_key)
    except InvalidSetting as error:
        print(f"fairlead webhook: {error}", file=sys.stderr)
        return _UNUSABLE
    except CertificateUnusable as error:
        print(f"fairlead webhook: {error}", file=sys.stderr)
        return _UNUSABLE
    log.configure(arguments.log_level)
    return asyncio.run(_serve(settings, certificate, *addresses))


async def _serve(
    settings: Settings, certificate: Certificate, reviews: tuple[str, int], health: tuple[str, int]
) -> int:
    import logging

    from fairlead.injection.webhook import Webhook

    log = logging.getLogger(__name__)
    webhook = Webhook(settings, certificate)
    bound = []
    for start, (host, port) in ((webhook.start, reviews), (webhook.start_health, health)):
        try:
            bound.append(f"{host}:{await start(host, port)}")
        except OSError as error:
            log.error("%s:%d cannot be bound: %s", host, port, error.strerror or error)
            await webhook.stop(0)
            return _ADDRESS
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    watching = asyncio.create_task(certificate.watch())
    log.info("serving", extra={"webhook": bound[0], "health": bound[1], "image": settings.image})
    await stopped.wait()
    watching.cancel()
    await webhook.stop(_GRACE_SECONDS)
    log.info("stopped")
    return 0


# What reviews that have begun get at a stop; the API server waits for them no longer than its timeout.
_GRACE_SECONDS = 10.0
