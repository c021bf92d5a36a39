"""The errors of the package. Each has the exit code of the command line."""


class ScoreSDEError(Exception):
    """Base class of all errors that the package raises deliberately, with a message for the user.

    Example:
        >>> import scoresde
        >>> try:
        ...     scoresde.load("digitz")
        ... except scoresde.ScoreSDEError as error:
        ...     print(error)
        no model folder or bundled model is called 'digitz'. Did you mean 'digits'?
    """

    exit_code = 1


class UsageError(ScoreSDEError, ValueError):
    """An option, argument or configuration is wrong. Exit code 2."""

    exit_code = 2


class UnknownName(UsageError, KeyError):
    """A registry has nothing under a name: also the KeyError that a mapping raises."""

    __str__ = Exception.__str__  # a KeyError shows the repr of its text


class Missing(UsageError, AttributeError):
    """A class of the user's own lacks an attribute: also the AttributeError that is usual."""


class DataError(ScoreSDEError, ValueError):
    """Images are missing, unreadable or of the wrong shape. Exit code 3."""

    exit_code = 3


class CheckpointError(ScoreSDEError, RuntimeError):
    """A model folder or checkpoint is missing, damaged or of another version. Exit code 4."""

    exit_code = 4


class NumericalError(ScoreSDEError, RuntimeError):
    """A computation left the finite numbers, or did not end within its budget. Exit code 5."""

    exit_code = 5


class ResourceError(ScoreSDEError, RuntimeError):
    """The machine lacks memory, disk space or a device. Exit code 6."""

    exit_code = 6


FULL = ("not enough memory", "can't allocate memory", "Storage size calculation overflowed", "bad_alloc")
"""What torch says on a processor where there is no memory, or never could be so much."""
NO_ROOM = "could not create a primitive"
"""All that oneDNN says, which computes its convolutions."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the machine or of the device does not hold something.

    Args:
        error: Of any library.
    """
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    said = str(error) if isinstance(error, RuntimeError) else ""
    return known or said == NO_ROOM or any(text in said for text in FULL)


def reason(error: BaseException) -> str:
    """The first line of what another library's error says: torch adds the arguments of its functions in further lines.

    Args:
        error: Of any library.
    """
    return next(iter(str(error).splitlines()), "") or type(error).__name__
