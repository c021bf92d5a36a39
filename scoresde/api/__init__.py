"""The functions of `import scoresde`: load, sample, condition, fit and so on."""
