"""A figure, its bar, and how both are shown."""

import json
import os
from dataclasses import dataclass, field


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

    @property
    def met(self):
        return self.value is not None and self.value <= self.bar

    def __post_init__(self):
        self.load = os.getloadavg()[0]

    def json(self):
        facts = {"name": self.name, "what": self.what, "value": self.value, "unit": self.unit}
        facts |= {"bar": self.bar, "bar_words": self.bar_words, "met": self.met, "load": round(self.load, 2)}
        return json.dumps(facts | {"more": self.more})

    def row(self):
        unit = f" {self.unit}" if self.unit else ""
        value = "–" if self.value is None else f"{self.value:.3g}" if self.value < 1000 else f"{self.value:.0f}"
        verdict = "pass" if self.met else "**missed**"
        return f"| {self.what} | {value}{unit} | ≤ {self.bar_words} | {verdict} | {self.load:.1f} |"


def failed(name, why):
    """A figure that could not be taken."""
    return Figure(name, f"{name}: {why}", None, "", 0, "–")


HEAD = "| figure | value | bar | verdict | load |\n| --- | --- | --- | --- | --- |"
