"""What a row of the table is: contenders that are measured, figures that are read off them, goals."""

import dataclasses
import statistics
from typing import Callable

from programs import Failed, Missing


@dataclasses.dataclass
class Contender:
    """Somebody who does the row's work: plait, the hand-written limit, or a peer."""
    name: str
    measure: Callable  # measure(machine, quick) -> figures by key
    full_rounds: bool = True  # False for the slowest: measured in the first round only
    in_quick: bool = True


@dataclasses.dataclass
class Figure:
    """One quantity of a row. reached(ours, medians by name) compares; `goal` is the same in words.
    None: there is no goal, the figure is only watched."""
    label: str
    key: str
    goal: str
    reached: Callable | None
    higher_is_better: bool = False
    unranked: tuple = ()  # contenders that are shown, but are no peers in this figure
    remarks: dict = dataclasses.field(default_factory=dict)  # why a contender has no such figure


@dataclasses.dataclass
class Row:
    work: str
    contenders: list
    figures: list
    ours: str = "plait"
    limit: str = "limit"


@dataclasses.dataclass
class Absent:
    """A line whose floor does not exist yet."""
    work: str
    goal: str
    because: str


@dataclasses.dataclass
class Section:
    title: str
    rows: list


def at_most(value):
    return lambda ours, _: ours <= value


def at_least(value):
    return lambda ours, _: ours >= value


class Measured:
    """A row's figures: name -> key -> the values of all rounds; and why a contender has none."""

    def __init__(self, row):
        self.row = row
        self.values = {}
        self.notes = {}
        self.failed = False

    def add(self, name, found):
        for key, value in found.items():
            if isinstance(value, float):
                self.values.setdefault(name, {}).setdefault(key, []).append(value)

    def medians(self, key):
        """The median of each contender that has this figure."""
        return {name: statistics.median(of[key]) for name, of in self.values.items() if key in of}


def measure(row, machine, rounds, quick):
    """All rounds of a row, its contenders one after another in each; each round begins elsewhere."""
    result = Measured(row)
    for turn in range(rounds):
        first = turn % len(row.contenders)
        for contender in row.contenders[first:] + row.contenders[:first]:
            if quick and not contender.in_quick:
                result.notes[contender.name] = "not in --quick"
            elif contender.name in result.notes or (result.values.get(contender.name)
                                                    and not contender.full_rounds):
                continue
            else:
                try:
                    result.add(contender.name, contender.measure(machine, quick))
                except Missing as missing:
                    result.notes[contender.name] = f"missing: {missing}"
                except Failed as failure:
                    result.notes[contender.name] = f"failed: {failure}"
                    result.failed |= contender.name == row.ours
    return result
