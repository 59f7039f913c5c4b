"""Programs that send and receive messages: ours and its peers, run in the same way and in turns.

Each is one program that takes a role and `key=value` words; README.md beside this package has the
protocol. Peers are looked for in `$PEERS_DIR` and never needed: one that is missing is said to be.
"""

import os
import select
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import host, rig

READY_LIMIT = 15
PEERS = os.environ.get("PEERS_DIR")
ADAPTER = rig.BENCHES / "adapters" / "fabric"
EXAMPLE = rig.TARGET / "release" / "examples" / "fabric"


def peer(name):
    """A peer's program."""
    if not PEERS:
        raise rig.Missing(f"PEERS_DIR does not say where the program {name} is")
    for directory in (Path(PEERS), Path(PEERS) / "harness"):
        if os.access(directory / name, os.X_OK):
            return directory / name
    raise rig.Missing(f"{PEERS} holds no program {name}")


@dataclass(frozen=True)
class Way:
    """One way of sending messages: a program, and how it is used."""

    name: str
    program: str | None = None
    """The peer's program; none: our adapter."""
    options: tuple = ()
    wait: str = "block"
    address: str = "path"
    meets: bool = False
    """Both ends of a ping-pong become ready only when the other one is there."""

    def path(self):
        path = peer(self.program) if self.program else ADAPTER
        if not path.exists():
            raise rig.Missing(f"{path} is missing")
        return path


OURS = Way("ours")
OURS_SPIN = Way("ours, spinning", wait="spin")
OURS_UNIX = Way("ours over Unix sockets", options=("transport=unix",))
RING = Way("the reference ring", "raw", ("kind=ring", "batch=1"), "spin", meets=True)
ICEORYX2 = Way("iceoryx2", "iox", ("mode=copy",), "spin", meets=True)
ICEORYX2_BLOCK = Way("iceoryx2, blocking", "iox", ("mode=copy",), "block", meets=True)
ZEROMQ = Way("ZeroMQ ipc", "zmqp", ("kind=pubsub",), address="ipc")
NATS = Way("NATS", "brokered", ("kind=nats", "batch=64"), address="nats")


class Program:
    """A started program and the lines it says."""

    def __init__(self, words, env=None):
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
        )
        self.rest = b""
        self.name = " ".join(Path(str(word)).name for word in words[:2])

    def line(self, first, seconds):
        """The next line that begins with this word, as its `key=value` pairs."""
        deadline = time.monotonic() + seconds
        out = self.process.stdout.fileno()
        while True:
            while b"\n" in self.rest:
                line, self.rest = self.rest.split(b"\n", 1)
                words = line.decode(errors="replace").split()
                if words[:1] == [first]:
                    return {key: float(value) for key, value in (word.split("=", 1) for word in words[1:])}
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                raise RuntimeError(f"{self.name} said no {first} within {seconds} s")
            data = os.read(out, 65536)
            if not data:
                raise RuntimeError(f"{self.name} ended: {self.process.stderr.read().decode(errors='replace')[:300]}")
            self.rest += data

    def ready(self):
        self.line("READY", READY_LIMIT)

    def go(self):
        self.process.stdin.write(b"GO\n")
        self.process.stdin.flush()

    def end(self, seconds):
        """Waits for its end, or ends it."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


class NatsServer:
    """A broker of our own on the loopback, which lets a subscriber lag far behind before it drops it."""

    def __init__(self, directory):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = directory / "nats.conf"
        config.write_text(f'listen: "127.0.0.1:{self.port}"\nmax_pending: 1GB\nwrite_deadline: "30s"\n')
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen([rig.installed("nats-server"), "-c", str(config)], stdout=quiet, stderr=quiet)
        deadline = time.monotonic() + READY_LIMIT
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if time.monotonic() > deadline:
                    self.end()
                    raise RuntimeError("nats-server did not come up") from None
                time.sleep(0.02)

    def end(self):
        self.process.terminate()
        self.process.wait()


class Exchange:
    """One run of one way: its address, its programs, and that nothing of it is left."""

    runs = 0

    def __init__(self, way, **settings):
        Exchange.runs += 1
        self.way = way
        self.directory = rig.SCRATCH.directory()
        self.tag = f"figures-{os.getpid()}-{Exchange.runs}"
        self.programs = []
        self.server = None
        self.words = [*way.options, f"wait={way.wait}", self.address()]
        self.words += [f"{key}={value}" for key, value in settings.items()]

    def address(self):
        if self.way.address == "nats":
            self.server = NatsServer(self.directory)
            return f"port={self.server.port}"
        path = self.directory / self.tag
        return f"addr=ipc://{path}" if self.way.address == "ipc" else f"addr={path}"

    def start(self, role, *words):
        program = Program([str(self.way.path()), role, *self.words, *words])
        self.programs.append(program)
        return program

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        for program in self.programs:
            if failed:
                program.process.kill()
            program.end(5)
        if self.server:
            self.server.end()
        # Whatever the programs have started ends by itself, and not beside the next run.
        if host.wait_for_nobody(5) is None:
            host.end_everybody()
        for file in Path("/dev/shm").glob(f"{self.tag}*"):
            file.unlink()


def rate(way, shape, size, secs):
    """Records a second that arrived, all subscribers together; none may be lost on the way."""
    publishers, subscribers = shape
    pins = publishers == subscribers == 1
    with Exchange(way, size=size, secs=secs, npub=publishers, nsub=subscribers) as run:
        subs = [run.start("sub", f"idx={i}", *(["cpu=1"] if pins else [])) for i in range(subscribers)]
        for sub in subs:
            sub.ready()
        pubs = [run.start("pub", f"idx={i}", *(["cpu=0"] if pins else [])) for i in range(publishers)]
        for pub in pubs:
            pub.ready()
        for pub in pubs:
            pub.go()
        sent = sum(pub.line("RESULT", secs + 60)["msgs"] for pub in pubs)
        results = [sub.line("RESULT", secs + 60) for sub in subs]
        got = sum(result["msgs"] for result in results)
        if way.program is None and got != sent * subscribers:
            raise RuntimeError(f"{way.name}: {sent * subscribers - got:.0f} records were lost")
        return sum(result["msgs"] / result["ns"] * 1e9 for result in results if result["ns"])


def latency(way, size, trips):
    """Half of a round trip in nanoseconds: {"p50": …, "p99": …}."""
    with Exchange(way, size=size, n=trips, npub=1, nsub=1) as run:
        pong = run.start("pong", "cpu=1")
        if not way.meets:
            pong.ready()
        ping = run.start("ping", "cpu=0")
        ping.ready()
        if way.meets:
            pong.ready()
        ping.go()
        return ping.line("RESULT", 60)


def wake_up(trips):
    """A bare eventfd wake-up between two processes, in nanoseconds."""
    program = Program([str(peer("wake")), "eventfd", f"n={trips}"])
    try:
        return program.line("RESULT", 60)
    finally:
        program.end(5)
