"""What the system tells about processes, and how those that are left are ended.

The measuring process is a sub-reaper: whoever loses its parent below it becomes its child. So "nobody is
left" is the system's own answer that there is no child, and only descendants are ever signalled.
"""

import ctypes
import os
import resource
import select
import signal
import time

PR_SET_CHILD_SUBREAPER = 36


def prepare():
    """Makes this process the one that inherits orphans, and lets it hold a descriptor for each child."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become a sub-reaper")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 16384 if hard == resource.RLIM_INFINITY else min(hard, 16384)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    except FileNotFoundError:
        pass
    return found


def tree(pid):
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        found += children(parent)
    return found


def pss_kib(pids):
    """Proportional set size: a page that several processes share counts for each with its share."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total


def sleeps(pids):
    """How often all threads of these processes went to sleep: once for every time they were woken."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as file:
                total += sum(int(l.split()[1]) for l in file if l.startswith("voluntary_ctxt"))
    return total


class Ends:
    """Waits for the end of processes, by a descriptor of each: a number that is used again fools nobody."""

    def __init__(self, pids):
        self.poll = select.poll()
        self.left = {}
        for pid in pids:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            self.left[fd] = pid
            self.poll.register(fd, select.POLLIN)

    def wait(self, seconds):
        """True: all have ended."""
        deadline = time.monotonic() + seconds
        while self.left:
            ready = self.poll.poll(max(0, (deadline - time.monotonic()) * 1000))
            for fd, _ in ready:
                self.poll.unregister(fd)
                os.close(fd)
                del self.left[fd]
            if not ready and time.monotonic() >= deadline:
                return False
        return True

    def close(self):
        for fd in self.left:
            os.close(fd)
        self.left = {}


def wait_for_nobody(seconds):
    """Reaps until this process has no child. Returns when that was (ns), or None after the time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return time.monotonic_ns()
        if pid == 0:
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.0002)


def end_everybody():
    """Kills what is left below this process. Nothing else can be in the tree."""
    for _ in range(50):
        for pid in tree(os.getpid())[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if wait_for_nobody(0.2):
            return
    raise RuntimeError("descendants could not be ended")
