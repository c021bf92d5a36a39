"""The process in which untrusted pictures are decoded: it can only read its pipe, compute for a while, and answer.

It imports what it needs, gives up the right to open files, and then reads requests until its input ends. A request is
REQUEST and the bytes of a picture; an answer is ANSWER and that many bytes: pixels, or a sentence.
"""

import io
import math
import sys
from struct import Struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..core.errors import DataError
from ..images.decode import TooLarge, UnknownFormat, open_picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""What is decoded, by content. TIFF is not: no browser shows it, and its decoder is the largest of all."""
REQUEST = Struct(">QQQ")
"""Bytes that follow, pixels of the largest picture, and seconds of the processor."""
READY = b"!"
"""What it says first, when all is loaded and given up."""
ANSWER = Struct(">HIIB")
"""Status of HTTP, height, width and channels; a sentence has one row and one channel."""


def decode(data: bytes, largest: int) -> tuple[int, np.ndarray]:
    """Status 200 and the pixels, (H, W, 1|3), or an error status and a sentence, (1, L, 1), in UTF-8.

    Args:
        data: The bytes of a picture.
        largest: The largest number of pixels.
    """
    try:
        picture = open_picture(io.BytesIO(data), "the upload", largest=largest, formats=FORMATS)
        pixels = np.asarray(picture)
        return 200, pixels.reshape(*pixels.shape[:2], -1)
    except TooLarge as error:
        status, sentence = 413, str(error)
    except UnknownFormat as error:
        status, sentence = 415, str(error)
    except DataError as error:
        status, sentence = 400, str(error)
    except MemoryError:
        status, sentence = 413, "the upload needs more memory than a picture may: make it smaller"
    text = np.frombuffer(sentence.encode(errors="replace")[:1000], np.uint8)
    return status, text.reshape(1, -1, 1)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until their stream ends.

    Args:
        requests: Where requests are read.
        answers: Where answers are written.
    """
    answers.write(READY)
    answers.flush()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        length, largest, seconds = REQUEST.unpack(head)
        _allow(seconds)
        status, body = decode(requests.read(length), largest)
        answers.write(ANSWER.pack(status, *body.shape))
        answers.write(body.tobytes())
        answers.flush()


def warm() -> None:
    """Loads all that decoding needs, while files can still be opened."""
    Image.init()
    for kind in FORMATS:
        buffer = io.BytesIO()
        Image.new("RGB", (2, 2)).save(buffer, kind)
        decode(buffer.getvalue(), 4)


if sys.platform == "win32":

    def restrict(memory: int) -> None:
        """Does nothing: Windows has no such limits.

        Args:
            memory: Ignored.
        """

    def _allow(seconds: int) -> None:
        """Nor this one: the parent's clock has to do."""

else:
    import resource

    def restrict(memory: int) -> None:
        """Takes away the rights to open files or sockets, to write files, to start processes, and to use more memory.

        Args:
            memory: The largest address space, in bytes.
        """
        limits = {resource.RLIMIT_NOFILE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NPROC: 0}
        limits |= {resource.RLIMIT_CORE: 0, resource.RLIMIT_AS: memory}
        for limit, most in limits.items():
            _, already = resource.getrlimit(limit)
            most = most if already == resource.RLIM_INFINITY else min(most, already)
            try:
                resource.setrlimit(limit, (most, most))
            except (OSError, ValueError):  # macOS has no limit of the address space
                if sys.platform == "linux":
                    raise

    def _allow(seconds: int) -> None:
        """So many seconds of the processor from now on; after them the system ends the process."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, most))


if __name__ == "__main__":
    warm()
    restrict(int(sys.argv[1]))
    serve(sys.stdin.buffer, sys.stdout.buffer)
