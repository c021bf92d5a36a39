"""`python -m scoresde` is `scoresde`."""

from .cli import main

main()
