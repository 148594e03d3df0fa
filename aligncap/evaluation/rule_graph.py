"""The workflow's rule graph as SVG: Graphviz's DOT read, laid out in layers and drawn here, so no binary is needed.

The layout is Sugiyama's, in short: layers by the longest path, edges over several layers cut by points, layers ordered
by the mean place of their neighbours (barycentres), places pulled towards neighbours without overlap.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.errors import ArtifactError

Edges = list[tuple[str, str]]
Layers = list[list[str]]
Neighbours = dict[str, list[str]]

SWEEPS = 24
LETTER, MARGIN, GAP, HEIGHT, STEP = 6.7, 9.0, 16.0, 22.0, 50.0  # of the drawing, in its own units
STYLE = (
    ".dag-box{fill:#eef4fa;stroke:#3f78ab}.dag-line{fill:none;stroke:#8a929c;stroke-width:1.2}"
    ".dag-tip{fill:#8a929c}.dag-name{fill:#1b1f24;font:11px ui-monospace,monospace;text-anchor:middle}"
    "@media (prefers-color-scheme:dark){.dag-box{fill:#1d2c3a;stroke:#6fa3d1}.dag-name{fill:#e4e6ea}}"
)


def draw_rule_graph(command: Sequence[str], config: Mapping[str, Any], out: Path) -> None:
    """Run a program that prints the graph of a configuration, and draw what it prints.

    Args:
        command: a Python module and its arguments; the configuration's file goes behind them.
        config: the whole configuration.
        out: the SVG.

    Raises:
        ArtifactError: the program fails, or prints no graph.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        done = subprocess.run([sys.executable, "-m", *command, str(file)], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ArtifactError(f"{' '.join(command)}: exit {done.returncode} ({last}); run it by hand to see why")
    names, edges = read_dot(done.stdout)
    artifacts.write_text(draw(names, edges), out)


def read_dot(text: str) -> tuple[list[str], Edges]:
    """Labels and edges (from, to) of a DOT graph whose nodes are ``0[label = "name", …];``.

    The target ``all``, which only collects, is left out, as are edges that lead back to an earlier round; rules are
    named by the first line of their label.

    Raises:
        ArtifactError: no node in it.
    """
    labels = dict(re.findall(r'^\s*(\d+)\s*\[\s*label\s*=\s*"([^"\\]*)', text, re.MULTILINE))
    if not labels:
        raise ArtifactError(f'not a graph in DOT: {text[:80]!r}; expected lines such as 0[label = "name"]')
    edges = [(labels[a], labels[b]) for a, b in re.findall(r"^\s*(\d+)\s*->\s*(\d+)", text, re.MULTILINE)]
    names = [name for name in dict.fromkeys(labels.values()) if name != "all"]
    return names, _one_round(names, [(a, b) for a, b in dict.fromkeys(edges) if a != b and "all" not in (a, b)])


def _one_round(names: Sequence[str], edges: Edges) -> Edges:
    """Without edges that lead back: a second round of preference optimisation samples from the model of the first.

    A round ends with the rule that most rules outside of it need: the trained model.
    """
    looping, after = _on_loops(names, edges), _after(names, edges)
    for last in sorted(looping, key=lambda name: len(set(after[name]) - set(looping)), reverse=True):
        kept = [(a, b) for a, b in edges if a != last or b not in looping]
        if not _on_loops(names, kept):
            return kept
    return [(a, b) for a, b in edges if not {a, b} <= set(looping)]


def _on_loops(names: Sequence[str], edges: Edges) -> list[str]:
    return [name for name, reached in _below(names, edges).items() if name in reached]


def _below(names: Sequence[str], edges: Edges) -> dict[str, set[str]]:
    """All that each node leads to, itself where it lies on a loop."""
    after = _after(names, edges)

    def reach(name: str) -> set[str]:
        found, pending = set[str](), list(after[name])
        while pending:
            if (current := pending.pop()) not in found:
                found.add(current)
                pending += after[current]
        return found

    return {name: reach(name) for name in names}


def reduced(names: Sequence[str], edges: Edges) -> Edges:
    """The edges that do not follow from others (transitive reduction of an acyclic graph)."""
    after, below = _after(names, edges), _below(names, edges)
    return [(a, b) for a, b in edges if not any(b in below[other] for other in after[a] if other != b)]


def _after(names: Sequence[str], edges: Edges) -> Neighbours:
    return {name: [b for a, b in edges if a == name] for name in names}


def layered(names: Sequence[str], edges: Edges) -> dict[str, int]:
    """Layer of each node: one more than its deepest parent; a node without parents stands just above its children."""
    before, after = _after(names, [(b, a) for a, b in edges]), _after(names, edges)
    depth: dict[str, int] = {}

    def place(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((place(parent) for parent in before[name]), default=-1)
        return depth[name]

    for name in names:
        place(name)
    return {n: d if before[n] or not after[n] else min(depth[c] for c in after[n]) - 1 for n, d in depth.items()}


def draw(names: Sequence[str], edges: Edges) -> str:
    """SVG of an acyclic graph; its description says the same in words, for who does not see it."""
    kept = reduced(names, edges)
    layer = layered(names, kept)
    chains = {(a, b): [a, *(f"{a}>{b}>{n}" for n in range(layer[a] + 1, layer[b])), b] for a, b in kept}
    layers: Layers = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for name in names:
        layers[layer[name]].append(name)
    for (a, _), chain in chains.items():
        for number, point in enumerate(chain[1:-1], start=layer[a] + 1):
            layers[number].append(point)
    links = [pair for chain in chains.values() for pair in pairwise(chain)]
    points = [point for own in layers for point in own]
    up, down = _after(points, [(b, a) for a, b in links]), _after(points, links)
    wide = {point: LETTER * len(point) + 2 * MARGIN if point in layer else 4.0 for point in points}
    across = _places(_ordered(layers, up, down), up, down, wide)
    return _svg(names, edges, layer, chains, across, wide, len(layers))


def _ordered(layers: Layers, up: Neighbours, down: Neighbours) -> Layers:
    """The order in each layer with the fewest crossings that sweeps up and down find."""
    best, fewest = layers, _crossings(layers, down)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        neighbours = up if forward else down
        at = {point: place for own in layers for place, point in enumerate(own)}
        turned: Layers = []
        for own in layers if forward else layers[::-1]:
            mean = {p: sum(at[n] for n in neighbours[p]) / len(neighbours[p]) if neighbours[p] else at[p] for p in own}
            turned.append(sorted(own, key=mean.__getitem__))
            at |= {point: place for place, point in enumerate(turned[-1])}
        layers = turned if forward else turned[::-1]
        crossings = _crossings(layers, down)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _crossings(layers: Layers, down: Neighbours) -> int:
    at = {point: place for own in layers for place, point in enumerate(own)}
    found = 0
    for own in layers:
        ends = [at[child] for point in own for child in sorted(down[point], key=at.__getitem__)]
        found += sum(later < earlier for place, earlier in enumerate(ends) for later in ends[place + 1 :])
    return found


def _places(layers: Layers, up: Neighbours, down: Neighbours, wide: Mapping[str, float]) -> dict[str, float]:
    """Middle of each point across, so that neighbours are near and nothing overlaps."""
    across: dict[str, float] = {}
    for own in layers:
        across |= _apart(own, dict.fromkeys(own, 0.0), wide)
    for sweep in range(SWEEPS):
        for own in layers if sweep % 2 == 0 else layers[::-1]:
            near = {point: [across[n] for n in (*up[point], *down[point])] for point in own}
            across |= _apart(own, {p: sum(n) / len(n) if n else across[p] for p, n in near.items()}, wide)
    least = min((across[point] - wide[point] / 2 for point in across), default=0.0)
    return {point: place - least for point, place in across.items()}


def _apart(own: Sequence[str], wanted: Mapping[str, float], wide: Mapping[str, float]) -> dict[str, float]:
    """As near to the wanted places as the order and the widths allow: the mean of pushing right and pushing left."""
    right: dict[str, float] = {}
    left: dict[str, float] = {}
    for found, order, way in ((right, own, 1), (left, own[::-1], -1)):
        last: str | None = None
        for point in order:
            room = (wide[last] + wide[point]) / 2 + GAP if last else 0.0
            place = way * wanted[point]
            found[point] = way * (max(place, way * found[last] + room) if last else place)
            last = point
    return {point: (right[point] + left[point]) / 2 for point in own}


def _svg(
    names: Sequence[str],
    edges: Edges,
    layer: Mapping[str, int],
    chains: Mapping[tuple[str, str], Sequence[str]],
    across: Mapping[str, float],
    wide: Mapping[str, float],
    depth: int,
) -> str:
    width = max((across[name] + wide[name] / 2 for name in across), default=0.0) + 2
    height = depth * STEP - STEP + HEIGHT + 4
    parents = {name: sorted(a for a, b in edges if b == name) for name in names}
    words = "; ".join(f"{name} after {', '.join(own)}" if own else f"{name} first" for name, own in parents.items())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 -2 {width + 2:.0f} {height:.0f}" role="img" '
        'aria-label="Graph of the rules">',
        f"<desc>{escape(words)}</desc><style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
        '<path class="dag-tip" d="M0 0L6 3L0 6z"/></marker></defs>',
    ]
    for (a, b), chain in chains.items():
        lines.append(f'<path class="dag-line" marker-end="url(#tip)" d="{_line(layer[a], layer[b], chain, across)}"/>')
    for name in names:
        x, y = across[name], layer[name] * STEP
        lines.append(
            f'<g id="rule-{escape(name)}"><title>{escape(name)}</title><rect class="dag-box" rx="5" '
            f'x="{x - wide[name] / 2:.1f}" y="{y:.1f}" width="{wide[name]:.1f}" height="{HEIGHT:g}"/>'
            f'<text class="dag-name" x="{x:.1f}" y="{y + HEIGHT / 2 + 4:.1f}">{escape(name)}</text></g>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _line(first: int, last: int, chain: Sequence[str], across: Mapping[str, float]) -> str:
    """A curve from the lower edge of one box, through the points between, to the upper edge of another."""
    middle = HEIGHT / 2
    points = [(across[point], (first + n) * STEP + middle) for n, point in enumerate(chain)]
    points[0], points[-1] = (points[0][0], first * STEP + HEIGHT), (points[-1][0], last * STEP)
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(points):
        half = (y + to_y) / 2
        path += f"C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}"
    return path
