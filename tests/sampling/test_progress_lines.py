"""Lines of progress: when they are written, what they say, and that they disturb nothing.

Rates and times left are compared with those of tqdm, which computes them by itself.
"""

import io
import logging
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tqdm import tqdm

from scoresde.sampling import progress_lines
from scoresde.sampling.progress import progress_bar
from scoresde.sampling.progress_lines import due

STARTED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d ")


class Clock:
    """A clock that jumps to the end of each wait, where it does some work, and stands in for the event of an end."""

    def __init__(self, end, work=lambda now: None, lag=0.0):
        self.now, self.end, self.work, self.lag, self.waits, self.over = 0.0, end, work, lag, [], False

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += max(seconds - self.lag, 0)
        self.work(self.now)
        return self.now > self.end

    def is_set(self):
        return self.over

    def set(self):
        self.over = True


@pytest.fixture
def told(monkeypatch):
    """The lines of some work under a fake clock: told(bar, end, work), work(now) being done at the end of each wait."""

    def tell(bar, end, work=lambda now: None, lag=0.0):
        clock, written = Clock(end, work, lag), io.StringIO()
        monkeypatch.setattr(progress_lines, "FIRST", (3.0, 10.0, 30.0))
        monkeypatch.setattr(progress_lines, "monotonic", clock)
        monkeypatch.setattr(sys, "stderr", written)
        bar._over, bar.began = clock, 0.0
        bar._speak()
        return written.getvalue().splitlines()

    return tell


@pytest.fixture
def soon(monkeypatch):
    """Real lines after 0.05 and 0.1 seconds, and then every 0.1."""
    monkeypatch.setattr(progress_lines, "FIRST", (0.05, 0.1))
    monkeypatch.setattr(progress_lines, "EVERY", 0.1)


def until(done):
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_lines_come_early_and_then_each_minute(monkeypatch):
    monkeypatch.setattr(progress_lines, "FIRST", (3.0, 10.0, 30.0))
    times = [0.0]
    while len(times) < 8:
        times.append(due(times[-1]))
    assert times == [0, 3, 10, 30, 60, 120, 180, 240]
    assert due(9.99) == 10 and due(500) == 540  # after a pause there is one line, not one for each that was missed


def test_a_line_has_the_figures_of_tqdm(told):
    bar = progress_bar(50_000, None, desc="train", initial=2000, unit_scale=True, bar_format=None)
    bar.set_postfix_str("loss 0.1234")

    def work(now):
        bar.update(2000 + 427 * now - bar.n)

    found = told(bar, 70, work)
    assert found[0] == "train: 3281/50000 images (6%), loss 0.1234, 427 images/s, 0:00:03 elapsed, 0:01:50 left"
    assert len(found) == 4
    for line, elapsed in zip(found, (3, 10, 30, 60), strict=True):
        n = 2000 + 427 * elapsed
        shape = "{n}/{total} {percentage:.4f} {rate} {elapsed} {remaining_s}"
        meter = tqdm.format_meter(n, 50_000, elapsed, initial=2000, bar_format=shape).split()
        assert line.startswith(f"train: {meter[0]} images ({int(float(meter[1]))}%), loss 0.1234, ")
        assert f", {float(meter[2]):.0f} images/s, 0:{meter[3]} elapsed, " in line
        hours, minutes, seconds = map(int, line.split()[-2].split(":"))
        assert 0 <= 3600 * hours + 60 * minutes + seconds - float(meter[4]) <= 1


def test_every_total_and_rate_makes_a_line(told):
    assert told(progress_bar(None, desc="read"), 5) == ["read: 0:00:03 elapsed"]
    bar = progress_bar(None, unit="file")
    assert told(bar, 5, lambda now: bar.update(60)) == ["60 files, 20.0 files/s, 0:00:03 elapsed"]
    assert told(progress_bar(0, desc="bench"), 5) == ["bench: 0/0 images (100%), 0:00:03 elapsed"]
    bar = progress_bar(4, desc="inpaint")
    slow = told(bar, 70, lambda now: bar.update(0.01 * now - bar.n))
    assert slow[-1] == "inpaint: 0/4 images (15%), 100.0 s/image, 0:01:00 elapsed, 0:05:40 left"
    bar = progress_bar(3, desc="sample")
    bar.update(0.7 + 0.2 + 0.1 + 2 * (0.1 + 0.7 + 0.2))  # 2.9999999999999996
    assert told(bar, 5) == ["sample: 3/3 images (100%), 1.0 images/s, 0:00:03 elapsed"]
    bar = progress_bar(10**9, desc="sample")
    assert told(bar, 5, lambda now: bar.update(1e-4))[0].endswith(" left")  # in centuries


def test_a_clock_that_lags_brings_no_line_twice(told):
    bar = progress_bar(10, desc="sample")
    assert len(told(bar, 25, lag=1e-3)) == 2
    stopped = told(progress_bar(10, desc="sample"), 8, lag=2.9999)  # the clock has hardly moved
    assert stopped and all("elapsed" in line for line in stopped)
    bar = progress_bar(10, desc="sample")
    bar.update(5)
    assert bar.line(0.0) == "sample: 5/10 images (50%), 0:00:00 elapsed"


def test_lines_are_plain_and_whole(told):
    bar = progress_bar(2, desc="sample \N{PARTY POPPER}\nε")
    bar.set_postfix_str("β\r0.1")
    (line,) = told(bar, 5)
    assert line == "sample \\U0001f389 \\u03b5: 0/2 images (0%), \\u03b2 0.1, 0:00:03 elapsed"


def test_short_work_is_silent_and_long_work_has_a_last_line(soon, monkeypatch, capsys):
    with progress_bar(8, desc="sample") as bar:
        until(lambda: bar.said)
        bar.set_postfix_str("NFE 10")
        bar.update(8)
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("sample: 8/8 images (100%), NFE 10, ") and "left" not in last
    monkeypatch.setattr(progress_lines, "FIRST", (60.0,))
    with progress_bar(8, desc="sample") as bar:
        bar.update(8)
    assert capsys.readouterr().err == ""
    assert not any(thread.name.endswith("(_speak)") for thread in threading.enumerate())


def test_who_sees_what(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def kind(*asked, **options):
        bar = progress_bar(3, *asked, **options)
        return "lines" if isinstance(bar, progress_lines.Lines) else "nothing" if bar.disable else "bar"

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert [kind(None), kind(True), kind(False)] == ["lines", "lines", "nothing"]
    assert [kind(None, lines=False), kind(True, lines=False)] == ["nothing", "lines"]
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert [kind(None), kind(True), kind(False), kind(None, lines=False)] == ["bar", "bar", "nothing", "bar"]
    monkeypatch.setenv("RANK", "1")
    assert [kind(None), kind(True), kind(False)] == ["nothing"] * 3  # of several processes the first speaks
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert kind(None) == "nothing"
    monkeypatch.setenv("RANK", "0")
    assert kind(None) == "lines"
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert kind(None) == kind(None, lines=False) == "bar"
    monkeypatch.delitem(sys.modules, "ipykernel")
    monkeypatch.setattr(sys, "stderr", None)  # of a program without a console
    assert [kind(None), kind(True)] == ["nothing"] * 2


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of POSIX")
def test_a_terminal_without_a_width_gets_lines(monkeypatch):
    import fcntl
    import pty
    import termios

    master, slave = pty.openpty()
    with open(master, "rb", 0), open(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        for columns in (0, 80):
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            bar = progress_bar(3, delay=60)
            assert isinstance(bar, progress_lines.Lines) == (columns == 0)
            if columns:
                bar.close()
    with progress_bar(3) as bar:  # stderr is closed
        bar.update(3)
    assert bar.n == 3


def test_a_bar_inside_a_bar_doubles_no_line(soon, capsys):
    with progress_bar(2, desc="outer") as outer:
        with progress_bar(5, desc="inner") as inner:
            until(lambda: outer.said)
            inner.update(5)
        outer.update(2)
    assert "outer" in (said := capsys.readouterr().err) and "inner" not in said
    with progress_bar(5, desc="later") as later:
        until(lambda: later.said)
    assert "later" in capsys.readouterr().err


@pytest.mark.parametrize("shown", [False, None])
def test_a_log_has_dated_lines_in_any_case(shown, soon, tmp_path, capsys):
    log = tmp_path / "log.txt"
    for first in (0, 6):
        with progress_bar(12, shown, desc="train", initial=first, log=log) as bar:
            until(lambda: log.read_text().count("\n") > 2)
            bar.update(6)
    found = log.read_text(encoding="ascii").splitlines()
    assert all(STARTED.match(line) for line in found)
    said = [STARTED.sub("", line) for line in found]
    assert said[0] == "train: 0/12 images (0%), 0:00:00 elapsed"
    assert "train: 6/12 images (50%), 0:00:00 elapsed" in said  # where the second run begins
    assert said[-1].startswith("train: 12/12 images (100%), ")
    with pytest.raises(KeyError), progress_bar(3, False, desc="train", log=log):
        raise KeyError("lost")
    assert log.read_text().endswith(" train: ended by KeyError: 'lost'\n")
    assert bool(capsys.readouterr().err) == (shown is None)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no device that is always full")
def test_what_cannot_be_written_ends_nothing(soon, monkeypatch, caplog, tmp_path):
    full = io.TextIOWrapper(open("/dev/full", "wb", 0), write_through=True)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "scoresde"):
        patch.setattr(sys, "stderr", full)
        with progress_bar(3, desc="train", log=Path("/dev/full")) as bar:
            until(lambda: bar.said)
            bar.update(3)
    with suppress(OSError):
        full.close()
    assert bar.n == 3 and len(caplog.records) == 1
    assert "cannot write /dev/full" in caplog.text and "goes on without it" in caplog.text
    with progress_bar(3, desc="train", log=tmp_path / "absent" / "log.txt") as bar:
        bar.update(3)
    assert bar.n == 3


def test_a_file_gets_lines_and_no_bar(tmp_path):
    code = """if True:
        import time
        from scoresde.sampling import progress_lines
        from scoresde.sampling.progress import progress_bar
        progress_lines.FIRST = (0.2,)
        with progress_bar(4, desc="sample") as bar:
            for _ in range(4):
                time.sleep(0.1)
                bar.update()
    """
    with open(tmp_path / "err", "w") as err:
        subprocess.run([sys.executable, "-c", code], stderr=err, check=True)
    first, last = (tmp_path / "err").read_bytes().decode("ascii").splitlines()
    assert re.fullmatch(r"sample: [123]/4 images \(\d\d%\), \d+\.\d images/s, 0:00:00 elapsed, 0:00:01 left", first)
    assert re.fullmatch(r"sample: 4/4 images \(100%\), \d+\.\d images/s, 0:00:00 elapsed", last)


@pytest.mark.slow
def test_a_training_speaks_within_ten_seconds(tmp_path):
    command = [sys.executable, "-m", "scoresde", "train", "digits", "--out", "run", "--device", "cpu"]
    with open(tmp_path / "err", "w") as err:
        process = subprocess.Popen(command, stderr=err, stdout=err, cwd=tmp_path)
        try:
            end = time.monotonic() + 120
            while not (tmp_path / "run" / "config.toml").exists():  # which is written right before the first step
                assert time.monotonic() < end and process.poll() is None
                time.sleep(0.05)
            began = time.monotonic()
            shape = re.compile(r"^train: \d+/\d+ images \(\d+%\), .*0:00:\d\d elapsed, 0:\d\d:\d\d left\n", re.M)
            while not shape.search(said := (tmp_path / "err").read_text()):
                assert time.monotonic() < began + 10 and process.poll() is None
                time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
    assert "\r" not in said
    log = [STARTED.sub("", line) for line in (tmp_path / "run" / "log.txt").read_text().splitlines()]
    assert log[0].startswith("train: 0/") and said.splitlines()[-1] in log
