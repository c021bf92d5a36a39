"""Uploads: untrusted bytes are decoded to pixels in a process without any other rights."""

import atexit
import functools
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ..core.errors import DataError
from .decoder import ANSWER, READY, REQUEST
from .encoding import PixelArray, picture_of, png_bytes

CHILD = f"{__package__}.decoder"


class UploadError(DataError):
    """An upload that is refused.

    Args:
        status: The status of HTTP that says why: 413 too large, 415 no picture of a format that is read, 400 damaged,
            503 no decoder is free.
        sentence: What is wrong, for the user.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """What an upload may cost.

    Args:
        bytes: Of the file.
        pixels: Of the picture, known before any of them is decoded.
        memory: Address space of the decoding process, in bytes; some 120 MB of them are its libraries.
        processor: Seconds of the processor for one upload.
        seconds: By the clock, for one upload, and once more for those before it.
    """

    bytes: int = 10 * 2**20
    pixels: int = 4_000_000
    memory: int = 512 * 2**20
    processor: int = 5
    seconds: float = 10.0


STANDARD = Limits()


def decode(data: bytes, limits: Limits = STANDARD) -> PixelArray:
    """The picture in an upload, upright, (H, W, 1) if it is grey and (H, W, 3) in colour, as `open_picture` decodes it.

    Threads may call it at the same time; their uploads are decoded one after the other.

    Args:
        data: The bytes of the upload.
        limits: What an upload may cost.

    Raises:
        UploadError: The upload is refused.
    """
    return decoder(limits).decode(data)


@functools.cache
def decoder(limits: Limits) -> "Decoder":
    """The decoder that all callers with the same limits share. Calling this early starts the process early.

    Args:
        limits: What an upload may cost.
    """
    shared = Decoder(limits)
    atexit.register(shared.close)
    return shared


class Decoder:
    """A process that decodes, started before it is needed and again after each crash.

    Args:
        limits: What an upload may cost.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        with self._lock:
            self._running()

    def decode(self, data: bytes) -> PixelArray:
        """The picture in an upload.

        Args:
            data: The bytes of the upload.

        Raises:
            UploadError: The upload is refused.
        """
        if not data:
            raise UploadError(400, "the upload is empty: choose a picture")
        if len(data) > self.limits.bytes:
            raise UploadError(
                413, f"the upload has {len(data):,} bytes, and at most {self.limits.bytes:,} are read: make it smaller"
            )
        if not self._lock.acquire(timeout=self.limits.seconds):
            raise UploadError(503, "other uploads are being decoded: try again in some seconds")
        try:
            return self._asked(data)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Ends the process; it is started again when something is to be decoded."""
        with self._lock:
            self._end()

    def _asked(self, data: bytes) -> PixelArray:
        process, limits, began = self._running(), self.limits, time.monotonic()
        clock = threading.Timer(limits.seconds, process.kill)
        clock.start()
        try:
            self._ready = self._ready or _read(process, len(READY)) == READY
            status, body = _exchange(process, data, limits)
        except (OSError, EOFError):
            late = time.monotonic() - began >= min(limits.processor, limits.seconds)
            process.kill()
            process.wait()
            if not self._ready:
                raise UploadError(
                    503, "the process that decodes uploads does not start: see what scoresde doctor says"
                ) from None
            self._running()  # so that the next upload need not wait for it
            reason = "takes too long to decode" if late else "ended the process that decodes it"
            raise UploadError(400, f"the upload {reason}: save it anew, smaller or in another format") from None
        finally:
            clock.cancel()
        if status == 200:
            return body
        raise UploadError(status, body.tobytes().decode(errors="replace"))

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, a new one if the last has ended."""
        if self._process is None or self._process.poll() is not None:
            self._end()
            # Nothing of this environment, which may hold secrets, but where the libraries are.
            environment = {
                "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
                "OPENBLAS_NUM_THREADS": "1",
            }
            command = [sys.executable, "-P", "-W", "ignore", "-m", CHILD, str(self.limits.memory)]
            pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
            try:
                self._ready = False
                self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=environment)
            except OSError as error:
                raise UploadError(503, f"no process to decode the upload could be started: {error.strerror}") from None
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            with suppress(OSError):  # what the pipe still holds has no reader
                self._process.communicate()
            self._process = None


def _exchange(process: subprocess.Popen[bytes], data: bytes, limits: Limits) -> tuple[int, PixelArray]:
    """Asks, and reads an answer that is not trusted either.

    Raises:
        OSError: The process has ended.
        EOFError: So it has, or what it says is no answer.
    """
    if process.stdin is None:
        raise EOFError
    process.stdin.write(REQUEST.pack(len(data), limits.pixels, limits.processor))
    process.stdin.write(data)
    process.stdin.flush()
    status, height, width, channels = ANSWER.unpack(_read(process, ANSWER.size))
    fits = (
        channels in (1, 3) and height * width <= limits.pixels if status == 200 else height * width * channels <= 1000
    )
    if status not in (200, 400, 413, 415) or not fits:
        raise EOFError
    body = bytearray(_read(process, height * width * channels))
    return status, np.frombuffer(body, np.uint8).reshape(height, width, channels)


def _read(process: subprocess.Popen[bytes], size: int) -> bytes:
    """So many bytes of what the process says.

    Raises:
        EOFError: It has ended before.
    """
    said = process.stdout.read(size) if process.stdout else b""
    if len(said) < size:
        raise EOFError
    return said


def png(pixels: PixelArray) -> bytes:
    """Pixels as a PNG without metadata.

    Args:
        pixels: (H, W, 1|3).
    """
    return png_bytes(picture_of(pixels))
