"""Tables on a terminal and elsewhere."""

import sys

import pytest

from scoresde.commands.options import print_table

ROWS = [
    {"solver": "em", "options": "--steps --grid --final-corrector", "reference": "Song et al. 2021", "order": 1},
    {"solver": "ggf", "options": "", "reference": "Jolicoeur-Martineau et al. 2021", "order": 2},
]


@pytest.mark.parametrize("columns", [20, 50, 90])
def test_a_table_fits_the_terminal_and_loses_no_word(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    print_table(ROWS, False)
    lines = capsys.readouterr().out.splitlines()
    words = " ".join([*ROWS[0], *(str(cell) for row in ROWS for cell in row.values())]).split()
    assert sorted(" ".join(lines).split()) == sorted(words)
    assert columns == 20 or max(map(len, lines)) <= columns  # of four columns no one can be that narrow
    assert (len(lines) == 3) == (columns == 90)
    starts = {line.index("-") for line in lines if line.lstrip().startswith("--")}
    assert len(starts | {lines[0].index("options")}) == 1  # what is folded stays in its column


def test_a_table_that_is_piped_has_one_line_a_row(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    print_table(ROWS, False)
    assert len(capsys.readouterr().out.splitlines()) == 3
    monkeypatch.setattr(sys, "stdout", None)  # as after `>&-`
    print_table(ROWS, False)
