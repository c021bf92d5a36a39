"""A signal that comes during an import ends the process, and is not lost."""

import os
import signal
import sys
import weakref

import pytest

from scoresde.core.signals import ended_at_once


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_signal_in_a_callback_of_an_import_is_not_lost(sign):
    """Python says "Exception ignored" of what a handler raises there, and goes on: code 7 of the first child."""

    def interrupted():
        thing = type("Thing", (), {})()
        weakref.finalize(thing, signal.raise_signal, sign)
        del thing

    codes = []
    for kept in (False, True):
        if not (child := os.fork()):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            signal.signal(sign, lambda number, frame: sys.exit(1))
            if kept:
                with ended_at_once():
                    interrupted()
            else:
                interrupted()
            os._exit(7)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert codes == [7, 128 + sign]
    before = signal.getsignal(sign)
    with ended_at_once():
        pass
    assert signal.getsignal(sign) is before
