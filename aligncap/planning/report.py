"""A plan as plain data for programs, and as tables for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

from aligncap.planning import assumptions, sizes, stages, steps
from aligncap.planning.judging import asked
from aligncap.planning.setting import Setting

TRAININGS = ("train_alignment", "train_preference")
BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
FLOPS = ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"))
COUNTS = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))


class Shown(NamedTuple):
    """A table: its title, its columns (those of numbers begin with '>'), and its rows."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def described(setting: Setting) -> dict[str, Any]:
    """Return the whole plan: parameters, bytes, FLOPs, seconds, tokens, and what is assumed."""
    trainings = [stage for stage in TRAININGS if setting.of_stage(stage.removeprefix("train_"))]
    return {
        "experiment": setting.config.experiment,
        "models": [part._asdict() for part in sizes.parts(setting)],
        "memory_bytes": {stage: sizes.memory(setting, stage) for stage in trainings},
        "steps": [step._asdict() for step in steps.steps(setting)],
        "stages": [own._asdict() for own in stages.work(setting)],
        "disk_bytes": sizes.disk(setting),
        "judges": [own._asdict() for own in asked(setting)],
        "card": setting.card._asdict(),
        "assumed": asdict(setting.assumed),
    }


def amount(value: float, units: tuple[tuple[float, str], ...]) -> str:
    """Return a number with three digits in the largest unit of which it has one; '-' for nothing."""
    if not value:
        return "-"
    size, unit = next((own for own in units if value >= own[0]), units[-1])
    digits = len(str(int(value / size)))
    return f"{value / size:.{max(0, 3 - digits)}f} {unit}"


def tables(plan: dict[str, Any], name: str) -> list[Shown]:
    """Return the tables of what ``described`` returns.

    Args:
        plan: The plan.
        name: Name of the card.
    """
    models = [[own["role"], own["name"], own["source"], f"{own['parameters']:,}"] for own in plan["models"]]
    shown = [
        Shown("Models", ["what", "name", "shape", ">parameters"], models),
        _of_memory(plan, name),
        _of_steps(plan),
        _of_stages(plan, name),
        Shown("Disk", ["what", ">bytes"], _bytes(plan["disk_bytes"])),
    ]
    return [*shown, *([_of_judges(plan)] if plan["judges"] else []), _of_assumptions(plan)]


def _of_memory(plan: dict[str, Any], name: str) -> Shown:
    memory = plan["memory_bytes"]
    columns = [_bytes(parts) for parts in memory.values()]
    rows = [[own[0][0], *(cell[1] for cell in own)] for own in zip(*columns, strict=True)]
    title = f"GPU memory of a training; {name} has {plan['card']['memory_gb']:g} GB"
    return Shown(title, ["what", *(f">{stage}" for stage in memory)], rows)


def _of_steps(plan: dict[str, Any]) -> Shown:
    rows = [
        [
            own["stage"],
            str(own["clips"]),
            f"{own['positions']:,.0f}",
            amount(own["flops"], FLOPS),
            f"{own['seconds']:.2f}",
        ]
        for own in plan["steps"]
    ]
    columns = ["stage", ">clips", ">positions of the LLM", ">FLOP", ">s"]
    return Shown("A step of a training, or a batch that is only scored", columns, rows)


def _of_stages(plan: dict[str, Any], name: str) -> Shown:
    rows = [
        [own["stage"], own["of"], str(own["jobs"]), amount(own["flops"], FLOPS), f"{own['seconds'] / 3600:.2f}"]
        for own in plan["stages"]
    ]
    flops, seconds = (sum(own[key] for own in plan["stages"]) for key in ("flops", "seconds"))
    rows.append(["together", "", "", amount(flops, FLOPS), f"{seconds / 3600:.2f}"])
    return Shown(f"GPU hours on one {name}", ["stage", "of", ">jobs", ">FLOP", ">hours"], rows)


def _of_judges(plan: dict[str, Any]) -> Shown:
    rows = [
        [own["judge"], own["of"], f"{own['captions']:,}", f"{own['calls']:,}"]
        + [amount(own[side], COUNTS) for side in ("tokens_in", "tokens_out")]
        for own in plan["judges"]
    ]
    columns = ["judge", "of", ">captions", ">calls", ">tokens read", ">tokens written"]
    return Shown("Judges that cost something", columns, rows)


def _of_assumptions(plan: dict[str, Any]) -> Shown:
    meanings = {name: meaning for name, (_, meaning) in assumptions.meanings().items()} | assumptions.PEAKS
    values = {**plan["assumed"], **plan["card"]}
    rows = [[f"--{name.replace('_', '-')}", f"{value:,}", meanings[name]] for name, value in values.items()]
    return Shown("Assumed", ["option", ">value", "meaning"], rows)


def _bytes(parts: dict[str, float]) -> list[list[str]]:
    return [[name, amount(value, BYTES)] for name, value in {**parts, "together": sum(parts.values())}.items()]
