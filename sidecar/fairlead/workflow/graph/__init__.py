"""Pictures of workflows and of their runs: Mermaid, SVG, and text for terminals. The same input gives the same text.

| module | idea |
|---|---|
| `model` | what is drawn: nodes and edges of a definition, or of a run |
| `states` | how a step fares: state, attempts, cost, what it waits for |
| `layout` | where nodes and edges go (Sugiyama's method) |
| `card`, `svg` | the picture |
| `mermaid`, `terminal` | the texts |
"""

from fairlead.workflow.graph.mermaid import mermaid
from fairlead.workflow.graph.model import Graph, Node, graph_of
from fairlead.workflow.graph.states import StepView, views_of
from fairlead.workflow.graph.svg import draw_svg
from fairlead.workflow.graph.terminal import text

__all__ = ["Graph", "Node", "StepView", "draw_svg", "graph_of", "mermaid", "text", "views_of"]
