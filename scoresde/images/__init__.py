"""Single images: decoding, resizing, and overview images."""
