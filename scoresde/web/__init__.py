"""The web page: a server for a browser on the same machine, and the catalogue of what was kept."""
