"""Interfaces for users: the Python captioner, the command line, and the web pages."""
