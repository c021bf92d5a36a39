"""The verbs: what is done with a model, each in one call. `scoresde` itself has them all."""
