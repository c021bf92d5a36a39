"""Score-based generative models with interchangeable solvers."""

__version__ = "0.1.0"
