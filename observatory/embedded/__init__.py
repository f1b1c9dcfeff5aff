"""Private PostgreSQL and Valkey servers for `make demo` and `make test`.

Standard library only, so that it works before Django reads its settings. Nothing in production imports it: an
import-linter contract holds that, and the programs come with requirements/dev.txt alone.
"""
