"""One picture: bytes to pixels, made to fit, and pixels to sheets."""
