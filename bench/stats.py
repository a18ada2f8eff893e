"""Rounds, medians and targets: how single measurements become a figure that is met or not.

What is compared is measured in turns, a round of each, so that a machine that slows down slows all of them. A figure's
ratio (or difference) is the median of those of the rounds, not that of the two medians.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Literal, TypeVar

import msgspec

T = TypeVar("T")


class Target(msgspec.Struct, frozen=True, rename="camel"):
    """A bound on ours ÷ reference, on ours less the reference, or on ours alone."""

    compared: Literal["ratio", "difference", "value"]
    relation: Literal["≥", "≤"]
    bound: float

    def met_by(self, value: float) -> bool:
        """Whether `value` keeps the bound."""
        return value >= self.bound if self.relation == "≥" else value <= self.bound


def at_least(ratio: float) -> Target:
    """Ours is at least so many times the reference."""
    return Target("ratio", "≥", ratio)


def at_most(ratio: float) -> Target:
    """Ours is at most so many times the reference."""
    return Target("ratio", "≤", ratio)


def within(difference: float) -> Target:
    """Ours is at most so much above the reference, in the figure's unit."""
    return Target("difference", "≤", difference)


def below(value: float) -> Target:
    """Ours is at most so much, in the figure's unit."""
    return Target("value", "≤", value)


class Figure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of the table. `ours` and `reference` are medians in `unit`; `compared` is what `target` is about,
    the median of the rounds, which lie between `least` and `most`."""

    name: str
    unit: str
    against: str
    target: Target
    ours: float
    reference: float | None
    compared: float
    least: float
    most: float
    met: bool
    rounds_of_ours: Sequence[float] = ()
    rounds_of_reference: Sequence[float] = ()
    note: str = ""


def figure(
    name: str,
    unit: str,
    target: Target,
    ours: Sequence[float],
    beside: tuple[str, Sequence[float]] = ("", ()),
    *,
    note: str = "",
) -> Figure:
    """The figure of these rounds. `beside`: what the reference is, and its rounds, one for each of ours.

    A target on ours alone needs none.
    """
    against, reference = beside
    if target.compared == "ratio":
        compared = [mine / theirs for mine, theirs in zip(ours, reference, strict=True)]
    elif target.compared == "difference":
        compared = [mine - theirs for mine, theirs in zip(ours, reference, strict=True)]
    else:
        compared = list(ours)
    return Figure(
        name=name,
        unit=unit,
        against=against,
        target=target,
        ours=median(ours),
        reference=median(reference) if reference else None,
        compared=median(compared),
        least=min(compared),
        most=max(compared),
        met=target.met_by(median(compared)),
        rounds_of_ours=tuple(ours),
        rounds_of_reference=tuple(reference),
        note=note,
    )


def in_turns(rounds: int, measures: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Every measure once a round, in their order and the next round backwards; the results by name."""
    results: dict[str, list[T]] = {name: [] for name in measures}
    names = list(measures)
    for _ in range(rounds):
        for name in names:
            results[name].append(measures[name]())
        names.reverse()
    return results


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that a `share` (0…1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]
