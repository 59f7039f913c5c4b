"""Figures with any programs as children: births, deaths, the stop, memory, rest."""

import os
import random
import signal
import time
from statistics import median

from . import host, rig
from .table import Figure

MS = 1e6


def launched(kind, n, **more):
    run = rig.Run(kind, n, **more)
    try:
        run.took = run.start()
    except BaseException:
        run.clean()
        raise
    return run


def successors(plan):
    """SIGKILL of a child that was up for more than a second → its successor's first instruction.

    The three supervisors run side by side and are hit in turns, so that a busy host is busy for all."""
    for n in plan.sizes:
        runs = {}
        try:
            for kind in ("ours", "runit", "bare"):
                runs[kind] = launched(kind, n)
            time.sleep(1.5)
            took = {kind: [] for kind in runs}
            # Nobody is hit again before it was up for more than a second.
            gap = max(0.02, 1.3 / min(n, plan.kills) / len(runs))
            for i in range(plan.kills):
                for kind, run in runs.items():
                    took[kind].append(run.kill_child(str(i * 7 % n)) / MS)
                    time.sleep(gap)
        finally:
            for run in runs.values():
                run.clean()
            host.end_everybody()
        ours, runit, bare = (median(took[kind]) for kind in ("ours", "runit", "bare"))
        what = f"kill → successor, {n} commands"
        more = {"samples": took["ours"], "runit": took["runit"], "bare": took["bare"]}
        yield Figure(f"successor-{n}-runit", what, ours, "ms", 1.0 * runit, f"1.0 × runit ({runit:.2f})", more)
        yield Figure(f"successor-{n}-bare", what, ours, "ms", 2.0 * bare, f"2 × bare loop ({bare:.2f})")


def starts_and_stops(plan):
    """Start of N commands until the last one's first instruction; and the stop, until nobody is left."""
    bars = {10: 1.0, 100: 0.5, 1000: 0.25}
    for n in plan.sizes:
        starts, stops, pss = ({kind: [] for kind in ("ours", "s6", "bare")} for _ in range(3))
        for _ in range(plan.rounds):
            for kind in starts:
                run = launched(kind, n)
                try:
                    time.sleep(0.5)
                    starts[kind].append(run.took / MS)
                    pss[kind].append(host.pss_kib(run.supervisors()) / 1024)
                    stops[kind].append(run.stop() / MS)
                finally:
                    run.clean()
                    host.end_everybody()
        mid = {what: {kind: median(v) for kind, v in by.items()} for what, by in (("start", starts), ("stop", stops), ("pss", pss))}
        ours, s6, bare = (mid["start"][kind] for kind in ("ours", "s6", "bare"))
        yield Figure(f"start-{n}-s6", f"start of {n} commands", ours, "ms", bars[n] * s6, f"{bars[n]} × s6 ({s6:.1f})", starts)
        if n == 1000:
            yield Figure("start-1000-bare", "start of 1000 commands", ours, "ms", 2.5 * bare, f"2.5 × bare loop ({bare:.0f})")
            stop, s6 = mid["stop"]["ours"], mid["stop"]["s6"]
            yield Figure("stop-1000-s6", "stop of 1000 commands", stop, "ms", 0.25 * s6, f"0.25 × s6 ({s6:.0f})", stops)
        if n in (10, 1000):
            bar = {10: 4, 1000: 8}[n]
            s6 = mid["pss"]["s6"]
            yield Figure(f"pss-{n}", f"PSS of supervisor and stem, {n} commands (s6: {s6:.1f})", mid["pss"]["ours"], "MiB", bar, f"{bar}", pss)


def rest(plan):
    """Nothing happens: nobody may wake up."""
    n = plan.sizes[-1]
    run = launched("ours", n)
    try:
        time.sleep(3)
        pids = run.supervisors()
        before = host.sleeps(pids)
        time.sleep(plan.idle)
        woken = host.sleeps(pids) - before
    finally:
        run.clean()
        host.end_everybody()
    yield Figure("rest", f"wake-ups in {plan.idle} s, {n} idle commands", woken, "", 0, "0")


def layout(text):
    """The command line for a layout of our own."""

    def argv(directory):
        (directory / "layout.ron").write_text(text)
        return [str(rig.SUPERVISOR), "--layout", str(directory / "layout.ron"), "--run-dir", str(directory / "run")]

    return argv


def deaf(plan):
    """100 children ignore SIGTERM: all are killed when their grace is over, and none of them later."""
    grace = 1000
    text = f'Layout(nodes: {{"deaf": (command: ["{rig.CHILD}", "{{index0}}"], count: 100, env: {{"BENCH_DEAF": "1"}}, stop: (grace: "{grace}ms"))}})'
    took = []
    for _ in range(plan.rounds):
        run = launched("ours", 100, argv=layout(text))
        try:
            time.sleep(0.3)
            took.append(run.stop() / MS)
        finally:
            run.clean()
            host.end_everybody()
    yield Figure("deaf", "stop of 100 commands that ignore SIGTERM, worst", max(took), "ms", grace + 100, "grace (1000) + 100", {"samples": took})


def murders(plan):
    """SIGKILL of the supervisor at a random time, its start included: who is left, and for how long?"""
    took, left = [], 0
    dice = random.Random(plan.seed)
    for _ in range(plan.murders):
        run = rig.Run("ours", 100)
        try:
            time.sleep(dice.uniform(0.0, 0.4))
            at = time.monotonic_ns()
            run.process.send_signal(signal.SIGKILL)
            gone = host.wait_for_nobody(5)
            left += gone is None or gone - at > 200 * MS
            took.append(((gone or at + 5000 * MS) - at) / MS)
        finally:
            host.end_everybody()
            run.clean()
    what = f"{plan.murders} × SIGKILL of the supervisor, 100 commands"
    yield Figure("murder-left", f"{what}: somebody left after 200 ms", left, "", 0, "0")
    yield Figure("murder-worst", f"{what}: nobody left, worst (median {median(took):.1f})", max(took), "ms", 200, "200", {"samples": took})


def check(plan):
    """`check` of a layout with 1000 entries of its own."""
    entries = []
    for i in range(1000):
        if i % 4 == 0:
            entries.append(f'"worker-{i}": (node_type: Worker, manager: "manager", env: {{"NUMBER": "{i}"}})')
        else:
            entries.append(f'"command-{i}": (command: ["/bin/sleep", "infinity"], restart: (floor: "1s"), stop: (grace: "2s"))')
    text = 'Layout(nodes: {"manager": (node_type: Manager),\n' + ",\n".join(entries) + "})"
    run_dir = rig.TOOLS / "check"
    run_dir.mkdir(exist_ok=True)
    (run_dir / "layout.ron").write_text(text)
    took = []
    for _ in range(max(plan.rounds, 3)):
        at = time.monotonic_ns()
        words = [str(rig.SUPERVISOR), "check", str(run_dir / "layout.ron")]
        with open(run_dir / "out", "wb") as out:
            code = rig.subprocess.run(words, stdout=out, stderr=out).returncode
        took.append((time.monotonic_ns() - at) / MS)
        if code != 0:
            raise RuntimeError(f"check ended with {code}: {(run_dir / 'out').read_text()[:300]}")
    yield Figure("check", "check of a layout with 1000 entries", median(took), "ms", 100, "100", {"samples": took})
