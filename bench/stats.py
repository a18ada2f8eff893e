"""Rounds, medians and targets: how measurements become a figure that meets its target or not.

Measurements that are compared are taken in turns, so that a slow phase of the machine affects all of them. The ratio
(or difference) of a figure is the median of the ratios of its rounds, not the ratio of two medians.

The spread of the reference tells a noisy host from a figure of ours that varies by itself: the rounds of the reference
do not depend on our code. A figure without a reference has rounds of `bench.host` instead. A figure is too noisy to
judge when that spread is large and the rounds do not agree about the target: where all of them do, noise decides
nothing. Quartiles, because one disturbed round of five does not move the median either.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from typing import Literal, TypeVar

import msgspec

T = TypeVar("T")

NOISY_SPREAD = 1.3


class Target(msgspec.Struct, frozen=True, rename="camel"):
    """A bound on the ratio ours ÷ reference, on the difference between them, or on the value of ours."""

    compared: Literal["ratio", "difference", "value"]
    relation: Literal["≥", "≤"]
    bound: float

    @property
    def judged(self) -> bool:
        """False for a comparison that is reported, without a target."""
        return self.relation == "≤" or self.bound > 0

    def met_by(self, value: float) -> bool:
        """Return whether `value` is within the bound."""
        return value >= self.bound if self.relation == "≥" else value <= self.bound


def at_least(ratio: float) -> Target:
    """Return the target that ours is at least `ratio` times the reference."""
    return Target("ratio", "≥", ratio)


def at_most(ratio: float) -> Target:
    """Return the target that ours is at most `ratio` times the reference."""
    return Target("ratio", "≤", ratio)


def reported(compared: Literal["ratio", "value"] = "ratio") -> Target:
    """Return the target of what is reported, and not judged."""
    return Target(compared, "≥", 0)


def within(difference: float) -> Target:
    """Return the target that ours exceeds the reference by at most `difference`, in the unit of the figure."""
    return Target("difference", "≤", difference)


def below(value: float) -> Target:
    """Return the target that ours is at most `value`, in the unit of the figure."""
    return Target("value", "≤", value)


class Figure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One row of the table. `ours` and `reference` are medians in `unit`. `compared` is the median of the values that
    `target` bounds, which lie between `least` and `most`. `spread` is that of the reference, or of the host where there
    is none; a `noisy` figure is not judged."""

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
    spread: float = 1.0
    noisy: bool = False
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
    noisy: bool = False,
    host: Sequence[float] = (),
) -> Figure:
    """Return the figure of the rounds `ours`.

    `beside` is the name of the reference and its rounds, one for each of ours. A target on a value needs none. `host`
    are rounds that tell how steady the host was, instead of the reference. `noisy` says that the measurement itself
    found the host too noisy.
    """
    against, reference = beside
    host = host or reference
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
        spread=spread(host),
        noisy=noisy or (spread(host) > NOISY_SPREAD and not _agree(target, compared)),
        rounds_of_ours=tuple(ours),
        rounds_of_reference=tuple(reference),
        note=note,
    )


def _agree(target: Target, compared: Sequence[float]) -> bool:
    """Return whether several rounds all meet the target, or all miss it. One round agrees with nothing."""
    return len(compared) > 1 and len({target.met_by(value) for value in compared}) == 1


def in_turns(
    rounds: int, measures: Mapping[str, Callable[[], T]], *, before: Callable[[], object] = lambda: None
) -> dict[str, list[T]]:
    """Run each measure once in each round, reversing the order after each round, and return the results by name.

    `before` is called before each round.
    """
    results: dict[str, list[T]] = {name: [] for name in measures}
    names = list(measures)
    for _ in range(rounds):
        before()
        for name in names:
            results[name].append(measures[name]())
        names.reverse()
    return results


def spread(values: Sequence[float]) -> float:
    """Return the upper quartile of `values` divided by the lower one: 1 if there are fewer than two."""
    if len(values) < 2:
        return 1.0
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return upper / lower


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of `values` that a `share` (0…1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]
