"""Figures of streams and round trips: ours beside its peers, taking turns in one run."""

from statistics import median

from . import messages, rig
from .messages import ICEORYX2, ICEORYX2_BLOCK, NATS, OURS, OURS_SPIN, OURS_UNIX, RING, ZEROMQ
from .table import Figure

TRIPS = {"spin": 50_000, "block": 10_000}


class Rounds:
    """What everybody reached in each round. One that fails, or is not there, has a reason instead."""

    def __init__(self):
        self.samples = {}
        self.why = {}

    def play(self, rounds, players):
        """Each round everybody once; who begins changes, so that nobody always follows the same one."""
        for number in range(rounds):
            turn = number % len(players)
            for key, measure in players[turn:] + players[:turn]:
                if key in self.why:
                    continue
                try:
                    self.samples.setdefault(key, []).append(measure())
                except (rig.Missing, RuntimeError, OSError) as error:
                    self.why[key] = str(error)

    def median(self, key, part=None):
        """None: it could not be measured."""
        if key in self.why:
            return None
        return median(sample if part is None else sample[part] for sample in self.samples[key])

    def reason(self, *keys):
        return "; ".join(self.why[key] for key in keys if key in self.why)


def beside(figure, rounds, what, ours, peer, factor, scale, unit, at_least, part=None):
    """A figure whose bar is a multiple of what a peer reached in the same run."""
    value, base = rounds.median(ours, part), rounds.median(peer, part)
    if value is None or base is None:
        return Figure(figure, f"{what}: {rounds.reason(ours, peer)}", None, unit, 0, f"{factor:g} × {peer}", at_least=at_least)
    more = {"ours": rounds.samples[ours], peer: rounds.samples[peer], "ratio": value / base}
    words = f"{factor:g} × {peer} ({base / scale:.3g}; here {value / base:.2f} ×)"
    return Figure(figure, what, value / scale, unit, factor * base / scale, words, more, at_least=at_least)


def streams(name, shape, size, bars):
    """A part that measures a stream of records of one shape against several peers."""

    def part(plan):
        ways = {way.name: way for bar in bars for way in (bar[0], bar[2])}
        rounds = Rounds()
        measure = lambda way: lambda: messages.rate(way, shape, size, plan.secs)
        rounds.play(plan.rounds, [(key, measure(way)) for key, way in ways.items()])
        for ours, factor, peer in bars:
            what = f"{shape[0]} → {shape[1]}, {size} B, {ours.name}"
            yield beside(name, rounds, what, ours.name, peer.name, factor, 1e6, "M/s", True)

    return part


def round_trips(plan):
    """Both ends look all the time."""
    rounds = Rounds()
    trips = TRIPS["spin"]
    rounds.play(plan.rounds, [(way.name, lambda way=way: messages.latency(way, 64, trips)) for way in (OURS_SPIN, ICEORYX2)])
    what = "latency, 64 B, both look all the time"
    yield beside("latency", rounds, f"{what}: p50", OURS_SPIN.name, ICEORYX2.name, 0.8, 1, "ns", False, "p50")
    p50, p99 = rounds.median(OURS_SPIN.name, "p50"), rounds.median(OURS_SPIN.name, "p99")
    why = "" if p99 is not None else f": {rounds.reason(OURS_SPIN.name)}"
    yield Figure("latency-tail", f"{what}: p99{why}", p99, "ns", 5 * (p50 or 0), f"5 × own p50 ({p50 or 0:.0f})")


def wake_ups(plan):
    """The reader sleeps when the record comes."""
    rounds = Rounds()
    trips = TRIPS["block"]
    players = [(way.name, lambda way=way: messages.latency(way, 64, trips)) for way in (OURS, ICEORYX2_BLOCK)]
    rounds.play(plan.rounds, [*players, ("a bare eventfd", lambda: messages.wake_up(trips))])
    what = "latency, 64 B, the reader sleeps: p50"
    for peer, factor in (("a bare eventfd", 1.25), (ICEORYX2_BLOCK.name, 1.0)):
        yield beside("latency-asleep", rounds, what, OURS.name, peer, factor, 1e3, "µs", False, "p50")


PARTS = {
    "one-64": streams("one-64", (1, 1), 64, [(OURS_SPIN, 4, ICEORYX2), (OURS_SPIN, 0.3, RING), (OURS, 5, ZEROMQ)]),
    "one-1k": streams("one-1k", (1, 1), 1024, [(OURS_SPIN, 2, ICEORYX2), (OURS, 10, ZEROMQ)]),
    "one-16k": streams("one-16k", (1, 1), 16384, [(OURS_SPIN, 1, ICEORYX2), (OURS, 10, ZEROMQ)]),
    "fan-in": streams("fan-in", (4, 1), 256, [(OURS_SPIN, 2, ICEORYX2), (OURS, 5, NATS)]),
    "fan-out": streams("fan-out", (1, 4), 256, [(OURS_SPIN, 2, ICEORYX2), (OURS, 5, NATS)]),
    "latency": round_trips,
    "asleep": wake_ups,
    "unix": streams("unix", (1, 1), 64, [(OURS_UNIX, 2, ZEROMQ)]),
}
