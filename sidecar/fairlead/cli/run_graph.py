"""`fairlead run graph`: a run as a picture, its states over its workflow."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import grpc

from fairlead.cli import operator, run_endpoint
from fairlead.cli.run_endpoint import Endpoint
from fairlead.v1 import run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow.graph import Graph, draw_svg, graph_of, mermaid, text, views_of
from fairlead.workflow.model import full_name

_INVALID = 2
_DRAWINGS = {"text": text, "mermaid": mermaid, "svg": draw_svg}
# By the ending of the file that is written.
_FORMATS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}


def register(commands: Any, name_help: str) -> None:
    """Adds the command."""
    graph = commands.add_parser("graph", help="draw one as text, Mermaid or SVG: its states over its workflow")
    graph.add_argument("name", metavar="RUN", type=full_name, help=name_help)
    graph.add_argument(
        "--format", choices=tuple(_DRAWINGS), help="default: text, or what the ending of --output says (.svg, .mmd)"
    )
    graph.add_argument("--output", type=Path, metavar="FILE", help="write it here instead of to stdout")
    run_endpoint.add_arguments(graph)
    graph.set_defaults(run=run_graph)


def run_graph(arguments: argparse.Namespace) -> int:
    """Draws a run."""
    ending = arguments.output.suffix.lower() if arguments.output is not None else ""
    draw = _DRAWINGS[arguments.format or _FORMATS.get(ending, "text")]
    with operator.refusals_reported() as codes, run_endpoint.connected(arguments) as endpoint:
        run = endpoint.call("GetRun", pb.GetRunRequest(name=arguments.name, without_payloads=True)).run
        drawn = draw(_graph(endpoint, run), views_of(run, time.time_ns()))
        if arguments.output is None:
            print(drawn, end="", flush=True)
            return 0
        try:
            arguments.output.write_text(drawn, encoding="utf-8")
        except OSError as error:
            print(f"fairlead: {arguments.output} cannot be written: {error.strerror}", file=sys.stderr)
            return _INVALID
        return 0
    return codes[0] if codes else 1


def _graph(endpoint: Endpoint, run: run_pb2.Run) -> Graph:
    """The run's definition, where the workflow is still the same; else what the run itself says about its steps."""
    own = graph_of(run)
    try:
        workflow = endpoint.call("GetWorkflow", pb.GetWorkflowRequest(name=f"workflows/{run.workflow}")).workflow
        if workflow.version != run.workflow_version:
            return own
        # Reading a definition takes what an installation without the daemon does not have.
        from fairlead.config.engine_workflows import workflow as definition_of
        from fairlead.config.sections.workflows import Workflow

        defined = graph_of(definition_of(Workflow.model_validate(json.loads(workflow.definition))))
    except (grpc.RpcError, ImportError, ValueError):
        return own
    return Graph(defined.name, defined.nodes, f"{own.summary} · {defined.summary}")
