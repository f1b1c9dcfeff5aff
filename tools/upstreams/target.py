"""Where an upstream is and what is shown to it: all that a connection depends on. Two equal targets share one."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """`transport` is a word of Upstream.Transport. For stdio `command` is the command line and `environment` is added
    to the few variables that a program needs; for the others `url` and `headers` are used."""

    upstream_id: int
    name: str
    transport: str
    url: str = ""
    command: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout_s: float = 15.0
