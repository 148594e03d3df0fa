"""A share of clips that come in groups of any size, such as the speakers of a corpus."""

from __future__ import annotations

from collections.abc import Mapping


def nearest_share(sizes: Mapping[str, int], wanted: float, most: int | None = None) -> list[str]:
    """Return groups whose clips together come near to a wanted number.

    Groups are taken in their order, as long as each brings the sum no farther from the number; groups that are too
    large to be the first are passed over. Where all are, the smallest is taken, so that there is at least one.

    Args:
        sizes: Number of clips of each group, by name; at least one group.
        wanted: Number of clips.
        most: Most groups to take; any number where None.
    """
    taken: list[str] = []
    total = 0
    for name, size in sizes.items():
        if len(taken) != most and abs(total + size - wanted) <= abs(total - wanted):
            taken.append(name)
            total += size
        elif taken:
            break
    return taken or [min(sizes, key=lambda name: sizes[name])]
