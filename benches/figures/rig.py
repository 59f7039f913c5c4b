"""Supervisors under measurement: ours and its peers, each with N children that report their birth."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from . import host

BENCHES = Path(__file__).resolve().parent.parent
ROOT = BENCHES.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
SUPERVISOR = Path(os.environ.get("SUPERVISOR_BIN", TARGET / "release" / "supervisor"))
TOOLS = TARGET / "bench-tools"
CHILD = TOOLS / "child"
START_LIMIT = 60


class Missing(Exception):
    """A peer that is not installed."""


class Scratch:
    """Where every run has a directory of its own, from the first of them to the end of the measuring.

    Nothing is removed while anybody is measured: some file systems make new files slowly for minutes after
    others were removed, and that would be counted against whoever is started next."""

    def __init__(self):
        self.path = None

    def directory(self):
        """A new one, for one run."""
        self.path = self.path or Path(tempfile.mkdtemp(prefix="figures-"))
        return Path(tempfile.mkdtemp(prefix="run-", dir=self.path))

    def remove(self):
        if self.path:
            shutil.rmtree(self.path, ignore_errors=True)
            self.path = None


SCRATCH = Scratch()


def build_tools():
    """Compiles the child and the bare loop. The child is static, so that little but the kernel starts it."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    cc = os.environ.get("CC", "cc")
    for name, flags in (("child", ["-static"]), ("bare", [])):
        source, out = BENCHES / "c" / f"{name}.c", TOOLS / name
        if not out.exists() or out.stat().st_mtime < source.stat().st_mtime:
            subprocess.run([cc, "-O2", *flags, "-o", out, source], check=True)


COPIED = ["Cargo.toml", "Cargo.lock", "clippy.toml", "src", "supervisor", "benches", "examples"]


def variant(name, build):
    """Where a variant of the programs lies: the same source, less what the patch of this name takes out, built beside it."""
    tree = TARGET / name
    tree.mkdir(parents=True, exist_ok=True)
    for part in COPIED:
        source, copy = ROOT / part, tree / part
        if source.is_dir():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy)
        else:
            shutil.copy2(source, copy)
    patch = BENCHES / "figures" / f"{name}.patch"
    env = dict(os.environ, CARGO_TARGET_DIR=str(tree / "target"))
    for words in (["patch", "-p1", "-s", "-i", str(patch)], ["cargo", "build", *build]):
        done = subprocess.run(words, cwd=tree, env=env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"`{' '.join(words[:2])}` failed: {done.stderr.strip()[-300:]}")
    return tree / "target" / "release"


class Fifo:
    """Where children report: name, process, time of the first instruction, no overlap."""

    def __init__(self, path):
        os.mkfifo(path)
        # Open for writing too: otherwise it would end whenever nobody has it open.
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.rest = b""

    def read(self, seconds):
        """The next report, or None when none came in time."""
        while b"\n" not in self.rest:
            if not select.select([self.fd], [], [], seconds)[0]:
                return None
            self.rest += os.read(self.fd, 65536)
        line, self.rest = self.rest.split(b"\n", 1)
        name, pid, at, alone = line.decode().split()
        return name, int(pid), int(at), alone == "1"


def services(directory, n):
    """A directory with a service for each child, as s6 and runit take them."""
    for i in range(n):
        service = directory / "services" / str(i)
        service.mkdir(parents=True)
        (service / "run").symlink_to(CHILD)
    return str(directory / "services")


def installed(program):
    found = shutil.which(program)
    if not found:
        raise Missing(f"{program} is not installed")
    return found


def command(kind, directory, n):
    """How a supervisor is started, and the signal that stops it."""
    if kind == "ours":
        return [str(BENCHES / "adapters" / "supervise"), str(directory), str(n), str(CHILD)], signal.SIGTERM
    if kind == "bare":
        return [str(TOOLS / "bare"), str(n), str(CHILD)], signal.SIGTERM
    if kind == "s6":
        return [installed("s6-svscan"), "-c", "4000", "-t", "0", services(directory, n)], signal.SIGTERM
    if kind == "runit":
        return [installed("runsvdir"), services(directory, n)], signal.SIGHUP
    raise ValueError(kind)


class Run:
    """One supervisor, from its start to its end. Times are in nanoseconds of the monotonic clock."""

    def __init__(self, kind, n, argv=None, env=(), log=subprocess.DEVNULL):
        self.directory = SCRATCH.directory()
        self.n = n
        self.born = {}
        self.all_alone = True
        self.fifo = Fifo(self.directory / "fifo")
        if argv is None:
            argv, self.stop_signal = command(kind, self.directory, n)
        else:
            argv, self.stop_signal = argv(self.directory), signal.SIGTERM
        env = dict(os.environ, BENCH_FIFO=str(self.directory / "fifo"), **dict(env))
        self.started = time.monotonic_ns()
        self.process = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        )
        self.pid = self.process.pid

    def next_birth(self, seconds=START_LIMIT):
        report = self.fifo.read(seconds)
        if report is None:
            raise RuntimeError(f"only {len(self.born)} of {self.n} children after {seconds} s")
        name, pid, at, alone = report
        self.born[name] = pid, at
        self.all_alone &= alone
        return name, at

    def start(self):
        """Waits for all children. Returns how long after the start the last one ran its first instruction."""
        last = 0
        while len(self.born) < self.n:
            last = max(last, self.next_birth()[1])
        return last - self.started

    def supervisors(self):
        """The supervising processes: the tree without the children."""
        pids = {pid for pid, _ in self.born.values()}
        return [pid for pid in host.tree(self.pid) if pid not in pids]

    def kill_child(self, name):
        """SIGKILL. Returns how long after it the successor ran its first instruction."""
        pid, _ = self.born[name]
        at = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        while True:
            reborn, born = self.next_birth()
            if reborn == name:
                return born - at

    def stop(self, seconds=60):
        """Stops it. Returns how long it took until all children and the supervisor were gone."""
        ends = host.Ends([pid for pid, _ in self.born.values()] + [self.pid])
        at = time.monotonic_ns()
        self.process.send_signal(self.stop_signal)
        gone = ends.wait(seconds)
        took = time.monotonic_ns() - at
        if not gone:
            raise RuntimeError(f"{len(ends.left)} processes were left {seconds} s after the stop")
        return took

    def clean(self):
        """What has been measured is ended and forgotten, but for its directory. Call after the last look at it."""
        for pid in host.tree(self.pid) if self.process.poll() is None else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()
        os.close(self.fifo.fd)
