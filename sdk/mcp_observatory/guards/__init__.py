"""The server's own checks, text for text but for the imports, so that a run is judged alike here and there.

Nobody edits these files: a change is made in the server's, and copied. docs/adr/0023 says why, and a test compares.
"""
