"""A figure, its bar, and how both are shown."""

import json
import os
import re
from dataclasses import dataclass, field

from . import rig


@dataclass
class Figure:
    name: str
    what: str
    value: float
    unit: str
    bar: float
    bar_words: str
    """The bar in words: an absolute number, or so many times what a peer took in the same run."""
    more: dict = field(default_factory=dict)
    load: float = 0.0
    at_least: bool = False
    """The bar is the least that the value may be; otherwise the most."""

    @property
    def met(self):
        if self.value is None:
            return False
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def __post_init__(self):
        # What a program said before it ended may be several lines; a row is one.
        self.what = " ".join(self.what.split())
        self.load = os.getloadavg()[0]

    def json(self):
        facts = {"name": self.name, "what": self.what, "value": self.value, "unit": self.unit}
        facts |= {"bar": self.bar, "bar_words": self.bar_words, "met": self.met, "load": round(self.load, 2)}
        return json.dumps(facts | {"more": self.more})

    def row(self):
        unit = f" {self.unit}" if self.unit else ""
        value = "–" if self.value is None else f"{self.value:.3g}" if self.value < 1000 else f"{self.value:.0f}"
        verdict = "not measured" if self.value is None else "pass" if self.met else "**missed**"
        bound = "≥" if self.at_least else "≤"
        return f"| {self.what} | {value}{unit} | {bound} {self.bar_words} | {verdict} | {self.load:.1f} |"


def failed(name, why):
    """A figure that could not be taken."""
    return Figure(name, f"{name}: {why}", None, "", 0, "–")


HEAD = "| figure | value | bar | verdict | load |\n| --- | --- | --- | --- | --- |"


def figures_of(name, part, plan):
    """All figures of a part. One that cannot be taken is a bar that is missed."""
    try:
        yield from part(plan)
    except (rig.Missing, RuntimeError, OSError) as error:
        yield failed(name, str(error))


def measure(parts, plan, only, file):
    """All figures of the parts whose names match, as a table and into the file, if there is one. Returns the
    exit code: a figure that cannot be taken counts as missed."""
    print(f"{os.uname().release}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n\n{HEAD}")
    missed = 0
    for name, part in parts.items():
        if not re.search(only, name):
            continue
        for figure in figures_of(name, part, plan):
            print(figure.row(), flush=True)
            missed += not figure.met
            if file:
                with open(file, "a") as lines:
                    lines.write(figure.json() + "\n")
    print(f"\n{missed} missed" if missed else "\nall met")
    return 1 if missed else 0
