"""Figures of logs: how quickly records come from nodes into a logger's files."""

import subprocess
import time
from pathlib import Path
from statistics import median

from . import cluster, host, rig
from .table import Figure

EXAMPLE = rig.TARGET / "release" / "examples" / "logs"
WORKERS = 4
LIMIT = 120
MARK = b"CHhAvVGS1DHFjwGM9"
"""Stands in every record."""
ZEEK = 387_000
"""Records of 8 columns per second that Zeek 8.0.10 brings from one worker into the logger's file."""


def layout(workers, records, columns):
    def write(directory):
        words = ", ".join(f'"{word}"' for word in (EXAMPLE, "worker", directory, records, columns))
        path = directory / "layout.ron"
        path.write_text(
            "Layout(nodes: {"
            '"manager": (node_type: Manager), "logger": (node_type: Logger),'
            f' "worker": (node_type: Worker, manager: "manager", count: {workers}, command: [{words}]),'
            "})\n"
        )
        return path

    return write


def wait_until(done, what, seconds=LIMIT):
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} not within {seconds} s")
        time.sleep(0.002)
    return time.monotonic_ns()


def peak_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def ours(workers, records, columns, supervisor=rig.SUPERVISOR):
    """Records and bytes per second, and the logger's peak of resident memory in MiB."""
    run = cluster.Cluster(layout(workers, records, columns), supervisor=supervisor)
    try:
        run.wait_for("cluster_ready")
        home = run.directory
        wait_until(lambda: len(list(home.glob("*.begun"))) == workers, "workers ready")
        log = home / "run" / "logs" / "logger" / "conn.log"
        wait_until(lambda: log.exists() and log.read_bytes().count(MARK) >= workers, "first records")
        before = log.stat().st_size
        logger = next(pid for pid in host.tree(run.pid) if Path(f"/proc/{pid}/comm").read_text() == "logger\n")
        (home / "go").touch()
        wait_until(lambda: len(list(home.glob("*.done"))) == workers, "workers done")
        begun = min(int(path.read_text().split()[0]) for path in home.glob("*.done"))
        size, since, lines = 0, 0, workers * records

        def everything_stands():
            nonlocal size, since
            now = log.stat().st_size
            if now != size:
                size, since = now, time.monotonic_ns()
            if time.monotonic_ns() - since < 100_000_000:
                return False
            counted = subprocess.run(["grep", "-c", MARK, log], capture_output=True, check=True).stdout
            return int(counted) == lines

        wait_until(everything_stands, f"{lines} records in the file")
        done = max(since, max(int(path.read_text().split()[1]) for path in home.glob("*.done")))
        seconds = (done - begun) / 1e9
        return (lines - workers) / seconds, (size - before) / seconds, peak_kib(logger) / 1024
    finally:
        host.end_everybody()
        run.clean()


def bare(records, columns):
    """Records and bytes per second of one thread that forms the same lines and writes them."""
    directory = rig.SCRATCH.directory()
    said = subprocess.run([EXAMPLE, "bare", directory / "conn.log", str(records), str(columns)], capture_output=True, check=True)
    nanos, size = map(int, said.stdout.split())
    (directory / "conn.log").unlink()
    return records * 1e9 / nanos, size * 1e9 / nanos


def peer(name, records, columns):
    """Bytes per second of a peer that is fed the finished lines by a pipe."""
    directory = rig.SCRATCH.directory()
    if name == "svlogd":
        (directory / "config").write_text("s0\n")
        argv = ["svlogd", directory]
    else:
        argv = ["s6-log", "n4", f"s{268_435_455}", directory]
    at = time.monotonic_ns()
    try:
        logger = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        raise rig.Missing(f"{argv[0]} is missing; install runit and s6") from None
    feeder = subprocess.Popen([EXAMPLE, "feed", str(records), str(columns)], stdout=logger.stdin)
    logger.stdin.close()
    if feeder.wait(LIMIT) or logger.wait(LIMIT):
        raise RuntimeError(f"{name} ended with {logger.returncode}, its feeder with {feeder.returncode}")
    nanos = time.monotonic_ns() - at
    size = sum(path.stat().st_size for path in directory.iterdir() if path.name not in ("config", "lock", "state"))
    for path in directory.iterdir():
        path.unlink()
    return size * 1e9 / nanos


def throughput(plan):
    """Four workers to one logger's file, 20 columns, beside a bare loop and two loggers behind pipes."""
    each = plan.records // WORKERS
    ours_rate, ours_bytes, peaks, bare_rate, svlogd, s6 = [], [], [], [], [], []
    for _ in range(plan.rounds):
        rate, size, peak = ours(WORKERS, each, 20)
        ours_rate.append(rate)
        ours_bytes.append(size)
        peaks.append(peak)
        bare_rate.append(bare(plan.records, 20)[0])
        svlogd.append(peer("svlogd", plan.records, 20))
        s6.append(peer("s6-log", plan.records, 20))
    what = f"{WORKERS} workers → one TSV file, 20 columns"
    k, mb = median(ours_rate) / 1e3, median(ours_bytes) / 1e6
    loop, runit, skarnet = median(bare_rate) / 1e3, median(svlogd) / 1e6, median(s6) / 1e6
    yield Figure("logs-bare", what, k, "k/s", 0.5 * loop, f"0.5 × bare loop ({loop:.0f})", {"samples": ours_rate}, at_least=True)
    yield Figure("logs-svlogd", what, mb, "MB/s", 2 * runit, f"2 × svlogd ({runit:.0f})", {"samples": ours_bytes}, at_least=True)
    yield Figure("logs-s6", what, mb, "MB/s", 0.7 * skarnet, f"0.7 × s6-log ({skarnet:.0f})", {"samples": s6}, at_least=True)
    yield Figure("logs-memory", f"{what}: logger's peak", max(peaks), "MiB", 64, "64", {"samples": peaks})


def proof(plan):
    """What it costs that every record is proven to stand once: beside a logger that keeps no index and no state."""
    without = rig.variant("unproven", ["--release", "--bin", "supervisor", "-p", "supervisor"]) / "supervisor"
    each = plan.records // WORKERS
    proven, free = [], []
    for _ in range(plan.rounds):
        proven.append(ours(WORKERS, each, 20)[0])
        free.append(ours(WORKERS, each, 20, without)[0])
    on, off = median(proven), median(free)
    what = f"{WORKERS} workers: slower by exactly once than without ({off / 1e3:.0f} k/s)"
    yield Figure("logs-proof", what, 100 * (1 - on / off), "%", 15, "15", {"on": proven, "off": free})


def one_worker(plan):
    """One worker, 8 columns, as Zeek was measured."""
    rates = [ours(1, plan.records // 2, 8)[0] for _ in range(plan.rounds)]
    what = "one worker → one TSV file, 8 columns"
    yield Figure("logs-zeek", what, median(rates) / 1e3, "k/s", 4 * ZEEK / 1e3, f"4 × Zeek 8.0.10 ({ZEEK // 1000})", {"samples": rates}, at_least=True)


PARTS = {"throughput": throughput, "proof": proof, "one-worker": one_worker}
