"""Figures of the fabric by itself: a reader that never reads, the price of accounts, who sees whom, memory."""

import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from datetime import datetime
from json import loads
from pathlib import Path
from statistics import median

from . import host, messages, rig
from .cluster import SITE, Cluster
from .messages import OURS_SPIN
from .streams import Rounds
from .table import Figure

CROWD = 64


def pair(secs, deaf):
    """A publisher and a healthy subscriber, beside one that never reads or not."""
    with messages.Exchange(OURS_SPIN, size=64, secs=secs, npub=1, nsub=1) as run:
        if deaf:
            silent = run.start("deaf", "idx=0")
            silent.ready()
        sub = run.start("sub", "idx=0", "cpu=1", "gap=1")
        sub.ready()
        pub = run.start("pub", "idx=0", "cpu=0")
        pub.ready()
        pub.go()
        time.sleep(secs * 0.5)
        kib = host.pss_kib([program.process.pid for program in run.programs])
        pub.line("RESULT", secs + 60)
        result = sub.line("RESULT", secs + 60)
        if deaf:
            silent.go()
        return {"rate": result["msgs"] / result["ns"] * 1e9, "gap": result["gap"] / 1e6, "kib": kib}


def deaf(plan):
    """Somebody who never reads takes nothing from those who do."""
    rounds = Rounds()
    players = [("alone", lambda: pair(plan.secs, False)), ("beside", lambda: pair(plan.secs, True))]
    rounds.play(plan.rounds, players)
    what = "1 → 1, 64 B, beside one that never reads"
    if rounds.why:
        raise RuntimeError(rounds.reason("alone", "beside"))
    alone, beside = (rounds.median(key, "rate") for key in ("alone", "beside"))
    words = f"0.9 × alone ({alone / 1e6:.3g})"
    yield Figure("deaf-rate", what, beside / 1e6, "M/s", 0.9 * alone / 1e6, words, rounds.samples, at_least=True)
    gap = max(sample["gap"] for sample in rounds.samples["beside"])
    yield Figure("deaf-gap", f"{what}: longest gap of all rounds", gap, "ms", 50, "50")
    more = (rounds.median("beside", "kib") - rounds.median("alone", "kib")) / 1024
    yield Figure("deaf-memory", f"{what}: memory more than alone, one process more", more, "MiB", 2, "2")


def uncounted():
    """The adapter without accounts."""
    release = rig.variant("uncounted", ["--profile", "bench", "--example", "fabric", "-p", "cluster"])
    return str(release / "examples" / "fabric")


def accounts(plan):
    """What it costs that every record is accounted for."""
    os.environ.setdefault("SUPERVISOR_BIN", str(rig.SUPERVISOR))
    without = replace(OURS_SPIN, name="without accounts", program=uncounted())
    rounds = Rounds()
    players = [(way.name, lambda way=way: messages.rate(way, (1, 1), 64, plan.secs)) for way in (OURS_SPIN, without)]
    rounds.play(plan.rounds, players)
    if rounds.why:
        raise RuntimeError(rounds.reason(*rounds.why))
    counted, free = rounds.median(OURS_SPIN.name), rounds.median(without.name)
    what = f"1 → 1, 64 B: slower by accounts than without ({free / 1e6:.3g} M/s)"
    yield Figure("accounts", what, 100 * (1 - counted / free), "%", 5, "5", rounds.samples)


def said(directory, event):
    """What nodes have said of others: (who, of whom, when in ms of the wall clock), in the order of their files."""
    line = re.compile(rf"(\S+) pid=\d+ event={event} name=(\S+)")
    found = []
    for file in directory.glob("run/*/stdout.log"):
        for at, name in line.findall(file.read_text()):
            found.append((file.parent.name, name, datetime.fromisoformat(at).timestamp() * 1e3))
    return found


def wait_until_said(directory, event, enough, seconds=20):
    """The lines, once there are enough. The clock of the lines counts, not that of the looks."""
    deadline = time.monotonic() + seconds
    while True:
        lines = said(directory, event)
        if enough(lines):
            return lines
        if time.monotonic() > deadline:
            raise RuntimeError(f"within {seconds} s nodes said event={event} only {len(lines)} times")
        time.sleep(0.02)


def members(directory):
    """Nodes that say whom they see, by their directories."""
    return {who for who, _, _ in said(directory, "node_up")}


def stubborn(directory):
    """The cluster of the source, which gives nobody up however often it is killed."""
    text, count = re.subn(r"\n *give_up: \([^)]*\),[^\n]*", "", SITE.read_text())
    if count != 1:
        raise RuntimeError(f"{SITE} has no single give_up")
    path = directory / "layout.ron"
    path.write_text(text)
    return path


def node_pid(cluster, name):
    """The process of a node, by the line it began with."""
    text = (cluster.directory / "run" / name / "stdout.log").read_text()
    return int(re.findall(r"pid=(\d+) event=up", text)[-1])


def successors(plan):
    """SIGKILL of a node → all others have said that its successor is up."""
    cluster = Cluster(stubborn)
    took = []
    try:
        cluster.wait_for("cluster_ready")
        everybody = lambda lines: {who for who, _, _ in lines}
        full = lambda lines: lines and len(lines) >= len(everybody(lines)) * (len(everybody(lines)) - 1)
        wait_until_said(cluster.directory, "node_up", full)
        time.sleep(1.5)
        nodes = sorted(name for name in members(cluster.directory) if "controller" not in name)
        for kill in range(plan.kills):
            victim = nodes[kill % len(nodes)]
            before = len(said(cluster.directory, "node_up"))
            others = len(members(cluster.directory)) - 1
            at = time.time() * 1e3
            os.kill(node_pid(cluster, victim), signal.SIGKILL)
            news = lambda lines: sum(1 for who, name, when in lines if name == victim and who != victim and when >= int(at)) >= others
            lines = wait_until_said(cluster.directory, "node_up", news)
            took.append(max(when for who, name, when in lines if name == victim and who != victim) - at)
            if len(lines) < before + others:
                raise RuntimeError("lines were lost")
            time.sleep(1.2)
    finally:
        host.end_everybody()
        cluster.clean()
    yield Figure("successor-seen", f"site.ron: SIGKILL of a node → all others see its successor, median of {len(took)}", median(took), "ms", 30, "30", {"samples": took})


def crowd_layout(directory):
    path = directory / "layout.ron"
    nodes = f'"manager": (node_type: Manager), "worker": (node_type: Worker, manager: "manager", count: {CROWD - 1})'
    path.write_text(f"Layout(nodes: {{{nodes}}})")
    return path


def shared_mib(pids):
    """Proportional share of memory files of the fabric, and the number of different rings."""
    kib, rings = 0, set()
    for pid in pids:
        name = None
        with open(f"/proc/{pid}/smaps") as file:
            for line in file:
                words = line.split()
                if "-" in words[0] and not words[0].endswith(":"):
                    name = words[5] if len(words) > 5 else ""
                    if name.startswith("/memfd:ring"):
                        rings.add(words[4])
                elif words[0] == "Pss:" and name.startswith(("/memfd:ring", "/memfd:bell", "/memfd:board")):
                    kib += int(words[1])
    return kib / 1024, len(rings)


def crowd(plan):
    """64 nodes, each of which wants its own topics and those for everybody."""
    took, shared, rings = [], [], []
    for _ in range(min(plan.rounds, 7)):
        began = time.time() * 1e3
        cluster = Cluster(crowd_layout)
        try:
            cluster.wait_for("cluster_ready")
            # The controller, which the supervisor adds, is not one of them.
            own = lambda lines: [line for line in lines if not any("controller" in who for who in line[:2])]
            full = lambda lines: len(own(lines)) >= CROWD * (CROWD - 1)
            lines = own(wait_until_said(cluster.directory, "node_up", full))
            took.append(max(when for _, _, when in lines) - began)
            mib, count = shared_mib(host.tree(cluster.pid))
            shared.append(mib)
            rings.append(count)
            words = [str(rig.SUPERVISOR), "check", "--json", str(cluster.directory / "layout.ron")]
            needs = loads(subprocess.run(words, capture_output=True, check=True).stdout)["layout"]["needs"]
        finally:
            host.end_everybody()
            cluster.clean()
    what = f"{CROWD} nodes"
    yield Figure("crowd-seen", f"{what}: start → everybody has seen everybody", median(took), "ms", 1000, "1000", {"samples": took})
    words = f"{needs['rings']}, as `check` predicts"
    yield Figure("crowd-rings", f"{what}: rings that exist, when they have greeted one another", median(rings), "", needs["rings"], words, {"samples": rings})
    mib = needs["ring_bytes"] / 2**20
    yield Figure("crowd-memory", f"{what}: shared memory in use (proportional)", median(shared), "MiB", mib, f"{mib:.3g}, as `check` predicts", {"samples": shared})


PARTS = {
    "deaf": deaf,
    "accounts": accounts,
    "successor-seen": successors,
    "crowd": crowd,
}
