"""Kiln's compile child: makes shared libraries of exported graphs. Needs torch and the standard library."""
