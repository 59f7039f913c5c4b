"""Figures of a whole cluster: the layout that comes with the source, on this host."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from queue import Empty, Queue
from statistics import median

from . import host, rig
from .table import Figure

MS = 1e6
SITE = rig.ROOT / "layouts" / "site.ron"


class Cluster(rig.Run):
    """A cluster, and its log as it comes."""

    def __init__(self, layout, n=0, supervisor=rig.SUPERVISOR):
        self.lines = Queue()

        def argv(directory):
            return [str(supervisor), "--layout", str(layout(directory)), "--run-dir", str(directory / "run")]

        super().__init__("ours", n, argv=argv, log=subprocess.PIPE)
        threading.Thread(target=self.read_log, daemon=True).start()

    def read_log(self):
        for line in self.process.stderr:
            self.lines.put((time.monotonic_ns(), line.decode()))

    def wait_for(self, event, seconds=30):
        """When the log said so."""
        deadline = time.monotonic() + seconds
        seen = []
        while True:
            try:
                at, line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except Empty:
                raise RuntimeError(f"no {event} within {seconds} s: {''.join(seen[-3:])}") from None
            seen.append(line)
            if f"event={event}" in line.split():
                return at

    def stem(self):
        for pid in host.children(self.pid):
            if Path(f"/proc/{pid}/comm").read_text() == "stem\n":
                return pid
        raise RuntimeError("the supervisor has no stem")


def site(_directory):
    return SITE


def starts_and_ends(plan):
    """Start → ready, as the supervisor's log says it; SIGTERM → nobody left; memory of all."""
    ready, gone, pss = [], [], []
    for _ in range(plan.rounds):
        cluster = Cluster(site)
        try:
            ready.append((cluster.wait_for("cluster_ready") - cluster.started) / MS)
            time.sleep(1)
            pss.append(host.pss_kib(host.tree(cluster.pid)) / 1024)
            at = time.monotonic_ns()
            cluster.process.send_signal(signal.SIGTERM)
            left = host.wait_for_nobody(60)
            if left is None:
                raise RuntimeError("somebody is left 60 s after SIGTERM")
            gone.append((left - at) / MS)
        finally:
            host.end_everybody()
            cluster.clean()
    yield Figure("site-ready", "site.ron: start → ready", median(ready), "ms", 150, "150", {"samples": ready})
    yield Figure("site-gone", "site.ron: SIGTERM → nobody left", median(gone), "ms", 100, "100", {"samples": gone})
    yield Figure("site-pss", "site.ron: PSS of the whole tree", median(pss), "MiB", 30, "30", {"samples": pss})


def rest(plan):
    """A cluster that has nothing to do wakes up at most once a second, all its processes together."""
    cluster = Cluster(site)
    try:
        cluster.wait_for("cluster_ready")
        time.sleep(3)
        pids = host.tree(cluster.pid)
        before = {pid: host.sleeps([pid]) for pid in pids}
        time.sleep(plan.idle)
        woken = {pid: host.sleeps([pid]) - before[pid] for pid in pids}
    finally:
        host.end_everybody()
        cluster.clean()
    rate = sum(woken.values()) / plan.idle
    yield Figure("site-rest", f"site.ron: wake-ups of all {len(pids)} processes, {plan.idle} s", rate, "/s", 1, "1", {"of": list(woken.values())})


def with_witnesses(directory):
    """The same cluster with three children that know whether an older generation still runs.

    One is in the first stage, so that nobody of the later ones can be its contemporary: it looks at the
    locks of all three. A lock is its holder's until the kernel has ended that."""
    locks = [str(directory / f"lock-{i}") for i in range(3)]

    def witness(i, stage, watched):
        words = ", ".join(f'"{word}"' for word in [str(rig.CHILD), f"witness-{i}", *watched])
        return f'"witness-{i}": (command: [{words}]{stage}),'

    added = witness(0, ', stage: "loggers"', locks)
    added += witness(1, "", locks[1:2]) + witness(2, "", locks[2:])
    text = SITE.read_text()
    anchor = "nodes: {"
    if text.count(anchor) != 1:
        raise RuntimeError(f"{SITE} has no single place for more nodes")
    path = directory / "layout.ron"
    path.write_text(text.replace(anchor, anchor + added))
    return path


def stem_deaths(plan):
    """SIGKILL of the stem: everybody it bore is gone before anybody is born again; how long until ready?"""
    took, overlaps = [], 0
    cluster = Cluster(with_witnesses, n=3)
    try:
        cluster.wait_for("cluster_ready")
        cluster.start()
        for _ in range(plan.stem_deaths):
            time.sleep(1.2)
            stem = cluster.stem()
            old = host.Ends(host.tree(stem))
            born = {name: at for name, (_, at) in cluster.born.items()}
            at = time.monotonic_ns()
            os.kill(stem, signal.SIGKILL)
            cluster.wait_for("stem_died")
            cluster.wait_for("node_started")
            overlaps += not old.wait(0)
            old.close()
            took.append((cluster.wait_for("cluster_ready") - at) / MS)
            while any(cluster.born[name][1] == before for name, before in born.items()):
                cluster.next_birth()
            overlaps += not cluster.all_alone
            cluster.all_alone = True
    finally:
        host.end_everybody()
        cluster.clean()
    what = f"site.ron, {plan.stem_deaths} × SIGKILL of the stem"
    yield Figure("stem-death-ready", f"{what}: ready again, worst (median {median(took):.0f})", max(took), "ms", 150, "150", {"samples": took})
    yield Figure("stem-death-overlap", f"{what}: two generations side by side", overlaps, "", 0, "0")
