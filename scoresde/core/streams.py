"""Standard output and error for any text: characters that a stream cannot show are spelled in ASCII."""

import codecs
import io
import os
import unicodedata
from typing import TextIO

SPELT = {
    "ε": "eps", "ϵ": "eps", "∇": "grad", "∂": "d", "√": "sqrt", "∫": "int", "∑": "sum", "∏": "prod", "∞": "inf",
    "∅": "{}", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∝": "~", "∈": " in ", "±": "+-", "×": "x", "·": "*",
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "‖": "||", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")",
    "→": "->", "←": "<-", "↦": "->", "⁄": "/", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'",
    "ß": "ss", "ø": "o", "æ": "ae", "Æ": "AE", "µ": "u", "°": "deg", "█": "#", "▏": "|", "│": "|", "─": "-",
}  # fmt: skip
"""What is written for letters and signs that have no other spelling."""


def spelling(letter: str) -> str:
    """A letter or sign in ASCII: λ as lambda, ε as eps, ± as +-, ² as ^2, ₀ as 0, é as e; "?" if there is no spelling.

    Args:
        letter: One character.
    """
    if letter.isascii():
        return letter
    if letter in SPELT:
        return SPELT[letter]
    if "\udc80" <= letter <= "\udcff":  # how Python keeps a byte of a file's name that is no UTF-8
        return f"\\x{ord(letter) - 0xDC00:x}"
    if unicodedata.combining(letter):
        return ""
    name = unicodedata.name(letter, "").replace("LAMDA", "LAMBDA").split()
    if name[:1] == ["GREEK"] and name[2:3] == ["LETTER"] and not unicodedata.decomposition(letter):
        return name[-1].capitalize() if name[1] == "CAPITAL" else name[-1].lower()
    parts = unicodedata.normalize("NFKD", letter)
    if parts == letter:
        return "?"
    power = "^" if "<super>" in unicodedata.decomposition(letter) else ""
    return power + "".join(map(spelling, parts))


def spelt(error: UnicodeError) -> tuple[str, int]:
    """What takes the place of letters that cannot be encoded: an error handler of `codecs`.

    Args:
        error: Says which letters of which text.

    Raises:
        UnicodeError: Something was to be decoded.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = ""
    for letter in error.object[error.start : error.end]:
        word = spelling(letter)
        found += word[1:] if word[:1] == "^" and found[:1] == "^" else word
    return found, error.end


def spell(*streams: TextIO | None) -> None:
    """Has streams spell what they cannot show.

    Args:
        streams: Standard output and error, say; those that are closed or no streams of the system are left as they are.
    """
    codecs.register_error("spelt", spelt)
    known = codecs.lookup("ascii")
    encoder, decoder = known.incrementalencoder, known.incrementaldecoder
    same = codecs.CodecInfo(known.encode, known.decode, incrementalencoder=encoder, incrementaldecoder=decoder)
    codecs.register({"seven_bit": same}.get)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            # click takes a stream that is called ASCII for a mistake and writes UTF-8 there.
            plain = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="seven_bit" if plain else None, errors="spelt")


def silence(*streams: TextIO | None) -> None:
    """Lets nothing more be written, at the end of a process whose output is not taken.

    Args:
        streams: Standard output and error.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            os.dup2(nowhere, stream.fileno())


def one_line(text: str) -> str:
    """A text on one line of letters that any UTF-8 stream takes: a line feed in a file's name as \\n.

    Args:
        text: Such as a sentence with the name of a file.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )
