"""The benchmark: every solver on every model, with what the samples cost and what they are worth."""
