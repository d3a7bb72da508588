"""`fairlead inject`: manifests with the sidecar in their pods."""

from __future__ import annotations

import argparse
import sys

_UNUSABLE = 2


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    from fairlead.cli.injection_options import add_settings

    parser = subparsers.add_parser(
        "inject",
        help="add the sidecar to the pods in Kubernetes manifests",
        description="Reads manifests and prints them with the sidecar in every Pod, Deployment, ReplicaSet, "
        "ReplicationController, StatefulSet, DaemonSet, Job and CronJob, also in Lists. Documents without pods stay "
        'byte for byte, pods that have a container `fairlead` or the annotation fairlead/inject: "false" as they '
        "are. Doubts are printed on stderr; a pod that cannot have the sidecar is an error, and nothing is printed.",
        epilog="fairlead inject < agent.yaml | kubectl apply -f -",
    )
    parser.add_argument("-f", "--file", default="-", metavar="FILE", help="manifests (default: stdin)")
    parser.add_argument(
        "--only-asked",
        action="store_true",
        help='only pods with the annotation fairlead/inject: "true", as the webhook does',
    )
    add_settings(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Rewrites; returns the exit code."""
    from fairlead.cli.injection_options import settings_of
    from fairlead.injection.manifests import MAX_BYTES, NotReadable, rewrite
    from fairlead.injection.pod import NotInjectable
    from fairlead.injection.settings import InvalidSetting

    name = "stdin" if arguments.file == "-" else arguments.file
    try:
        settings = settings_of(arguments)
        raw = _read(arguments.file, MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise NotReadable(f"larger than {MAX_BYTES >> 20} MiB: give the manifests in parts")
        done = rewrite(raw.decode("utf-8"), settings, only_asked=arguments.only_asked)
    except OSError as error:
        print(f"fairlead inject: {name} cannot be read: {error.strerror or 'unreadable'}", file=sys.stderr)
        return _UNUSABLE
    except UnicodeDecodeError:
        print(f"fairlead inject: {name} is not UTF-8", file=sys.stderr)
        return _UNUSABLE
    except (NotReadable, NotInjectable) as error:
        print(f"fairlead inject: {name}: {error}", file=sys.stderr)
        return _UNUSABLE
    except InvalidSetting as error:
        print(f"fairlead inject: {error}", file=sys.stderr)
        return _UNUSABLE
    for warning in done.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    sys.stdout.write(done.text)
    sys.stdout.flush()
    return 0


def _read(file: str, most: int) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(most)
    with open(file, "rb") as stream:
        return stream.read(most)
