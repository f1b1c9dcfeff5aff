"""The table of the PostgreSQL exporter: postgres.sql beside this file."""

from pathlib import Path

PATH = Path(__file__).with_name("postgres.sql")
