"""Python in processes of its own that need not import torch: they are forked from one that has, and has done no more.

    forked.run("-m", "scoresde", "sample", "--help")
    forked.Process("-c", "import time; time.sleep(60)").kill()

The arguments are those of `python`. What runs is all of a program, from its `__main__` to the end of the interpreter,
with an environment, a folder, a group of processes and signals of its own. Only what Python or torch reads of the
environment while they start is that of the tests: a test of it starts Python itself.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _server() -> socket.socket:
    """Where a process is asked for. What serves there ends with the tests."""
    ours, theirs = socket.socketpair()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["PYTHONPATH"] = str(Path(sys.modules["scoresde"].__file__ or "").parents[1])
    line = [sys.executable, __file__, str(theirs.fileno())]
    nowhere = subprocess.DEVNULL
    server = subprocess.Popen(
        line, env=environment, stdin=nowhere, stdout=nowhere, pass_fds=[theirs.fileno()], start_new_session=True
    )
    theirs.close()
    atexit.register(server.wait, 10)
    atexit.register(ours.close)
    return ours


class Process:
    """As `subprocess.Popen` with text pipes.

    Args:
        arguments: Those of `python`: a script, or -c and a code, or -m and a module, and what they are told.
        env: The environment, that of the tests unless given. PYTHONPATH goes in front of what is there.
        cwd: The folder, that of the tests unless given.
    """

    def __init__(self, *arguments: object, env: dict[str, str] | None = None, cwd: object = ".") -> None:
        self.returncode: int | None = None
        environment = dict(os.environ) if env is None else env
        reading, writing = os.pipe()
        ended, ending = os.pipe()
        self.stdout, self._status, self._stderr = open(reading), open(ended, "rb", 0), tempfile.TemporaryFile("w+")
        with open(writing, "wb") as out, open(ending, "wb") as end, tempfile.TemporaryFile("w+") as job:
            json.dump({"argv": list(map(str, arguments)), "env": environment, "cwd": os.path.abspath(str(cwd))}, job)
            job.seek(0)
            socket.send_fds(_server(), [b"."], [file.fileno() for file in (job, out, self._stderr, end)])
        self.pid = int.from_bytes(self._status.read(4), "little")

    def poll(self) -> int | None:
        """The exit code, or None of a process that runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code: negative where a signal ended it.

        Raises:
            TimeoutExpired: It runs for longer.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            with self._status as status:
                self.returncode = int.from_bytes(status.read(4), "little", signed=True)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """A signal to a process that runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """What it wrote on standard output and on standard error, at its end.

        Raises:
            TimeoutExpired: It ran for longer, and was killed.
        """
        began, late = time.monotonic(), threading.Timer(timeout, self.kill)
        late.start()
        with self.stdout as stdout, self._stderr as stderr:
            out = stdout.read()
            self.wait()
            late.cancel()
            stderr.seek(0)
            err = stderr.read()
        if time.monotonic() - began >= timeout:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout, out, err)
        return out, err


def run(
    *arguments: object, env: dict[str, str] | None = None, cwd: object = ".", check: bool = False, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` with text pipes; the arguments are those of `Process`."""
    process = Process(*arguments, env=env, cwd=cwd)
    out, err = process.communicate(timeout)
    done = subprocess.CompletedProcess(list(map(str, arguments)), process.wait(), out, err)
    if check and done.returncode:
        raise AssertionError(err)
    return done


def _forked(place: socket.socket) -> dict[str, Any]:
    """Returns in each of the processes that are asked for; the server ends when nobody can ask any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that none of those that watch stays as a zombie
    while True:
        _, files, *_ = socket.recv_fds(place, 1, 4)
        if not files:
            os._exit(0)
        if not os.fork():  # which watches one process and tells how it ended
            place.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            child = os.fork()
            if not child:
                return _begun(files)
            os.write(files[3], child.to_bytes(4, "little"))
            for file in files[:3]:
                os.close(file)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            with contextlib.suppress(BrokenPipeError):  # nobody waits for it
                os.write(files[3], code.to_bytes(4, "little", signed=True))
            os._exit(0)
        for file in files:
            os.close(file)


def _begun(files: list[int]) -> dict[str, Any]:
    """What the process has to do, in which this is called."""
    os.setsid()
    with open(files[0]) as file:
        job: dict[str, Any] = json.load(file)
    os.dup2(files[1], 1)
    os.dup2(files[2], 2)
    for file in files[1:]:
        os.close(file)
    return job


if __name__ == "__main__":
    import torch
    import torch._dynamo  # noqa: F401  # an optimiser would import it at its first step

    from scoresde.commands import sample, train  # noqa: F401

    gc.freeze()  # or every process would look through all of it at its end
    told = _forked(socket.socket(fileno=int(sys.argv[1])))
    kind: str = told["argv"][0]
    rest: list[str] = told["argv"][1:]
    os.environ.clear()
    os.environ.update(told["env"])
    os.chdir(told["cwd"])
    sys.path[:1] = ["", *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.stdout = open(1, "w", 1 if "PYTHONUNBUFFERED" in os.environ else -1, closefd=False)
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)
    if kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif kind == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [kind, *rest]
        sys.path[0] = os.path.dirname(kind)
        runpy.run_path(kind, run_name="__main__")
