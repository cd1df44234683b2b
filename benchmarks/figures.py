"""What is measured, against what, and how it is told."""

from __future__ import annotations

import statistics

import attrs


@attrs.frozen
class Figure:
    """One line of the table.

    :param against: what does the JSON of the bare one, where that matters.
    :param factor: from what is measured to what is printed, in *unit*.
    :param at_least: what the median of the ratios should reach.
    :param at_most: what the median of the ratios should not pass.
    :param ours_at_most: what our own median should not pass, whatever the baseline has; in `unit`.
    """

    name: str
    against: str
    unit: str = "/s"
    factor: float = 1.0
    at_least: float | None = None
    at_most: float | None = None
    ours_at_most: float | None = None

    @property
    def aim(self) -> str:
        """The aim in words."""
        if self.ours_at_most is not None:
            return f"ours <= {self.ours_at_most:g}"
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    def is_met(self, ratio: float, ours: float) -> bool:
        """Whether medians are what was aimed at."""
        return (
            (self.at_least is None or ratio >= self.at_least)
            and (self.at_most is None or ratio <= self.at_most)
            and (self.ours_at_most is None or ours <= self.ours_at_most)
        )


class Table:
    """Collects samples, round by round, and prints medians."""

    def __init__(self) -> None:
        self._samples: dict[Figure, list[tuple[float, float]]] = {}

    def add(self, figure: Figure, ours: float, bare: float) -> None:
        """Take what one round found."""
        self._samples.setdefault(figure, []).append((ours, bare))

    def print(self) -> None:
        """Print one line for each figure; those of one name stand together."""
        print(f"{'':<27} {'against':<8} {'ours':>7} {'bare':>7} {'':<4} ratio  {'min to max':<13}  aim")
        names = [figure.name for figure in self._samples]
        for figure in sorted(self._samples, key=lambda figure: names.index(figure.name)):
            print(_line(figure, self._samples[figure]))


def _line(figure: Figure, samples: list[tuple[float, float]]) -> str:
    ours, bare = (statistics.median(values) * figure.factor for values in zip(*samples, strict=True))
    ratios = [one / other for one, other in samples]
    ratio = statistics.median(ratios)
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    line = (
        f"{figure.name:<27} {figure.against:<8} {_number(ours):>7} {_number(bare):>7} {figure.unit:<4}"
        f" {ratio:5.2f}  {spread:<13}  {figure.aim:<12}"
    )
    if figure.aim:
        line += "met" if figure.is_met(ratio, ours) else "MISSED"
    return line.rstrip()


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
