"""Conditional sampling under benchmark: methods held against posteriors that are known in closed form."""
