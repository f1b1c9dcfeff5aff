"""Makes the virtual environment and installs the locked packages, each checked against its hash.

usage: python3 requirements/bootstrap.py .venv

Needs the standard library only. uv, itself locked, does the installing; pip alone is the slower way out.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

OLDEST, NEWEST_KNOWN = 11, 15
HERE = Path(__file__).resolve().parent


def main(target: Path) -> int:
    """Zero where the environment holds exactly what the lock says."""
    if target.is_symlink():
        sys.exit(f"{target} is a link to somebody else's environment, which would be cleared. Remove the link.")
    venv.create(target, clear=True, with_pip=False, symlinks=True)
    python = str(target / "bin" / "python")
    # Trust the certificates that this machine trusts (company proxies); the second name is for an older uv.
    os.environ.setdefault("UV_SYSTEM_CERTS", "1")
    os.environ.setdefault("UV_NATIVE_TLS", "1")
    if "PIP_INDEX_URL" in os.environ:  # pip's mirror is uv's mirror
        os.environ.setdefault("UV_DEFAULT_INDEX", os.environ["PIP_INDEX_URL"])

    pip = find_pip(python)
    if pip and succeeds(*pip, "install", "-q", "--only-binary", ":all:", *locked("bootstrap")):
        uv: str | None = str(target / "bin" / "uv")
    else:
        uv = shutil.which("uv")
    if uv and succeeds(uv, "pip", "install", "-q", "--python", python, *locked("dev")):
        return 0
    if pip and succeeds(*pip, "install", "-q", *locked("dev")):
        return 0
    if not pip and not uv:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        sys.exit(f"This Python has neither ensurepip nor pip. Debian, Ubuntu: apt install {package}. Or install uv.")
    return 1


def locked(name: str) -> tuple[str, ...]:
    return ("--require-hashes", "-r", str(HERE / f"{name}.txt"))


def find_pip(python: str) -> tuple[str, ...] | None:
    """A pip that installs into the new environment: its own, or the one of the Python that runs this."""
    os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    if succeeds(python, "-m", "ensurepip", "--default-pip", quiet=True):
        return (python, "-m", "pip")
    if succeeds(sys.executable, "-m", "pip", "--version", quiet=True):
        return (sys.executable, "-m", "pip", "--python", python)
    return None


def succeeds(*command: str, quiet: bool = False) -> bool:
    if not quiet:
        print("+", *command, flush=True)
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, stdout=output, stderr=output, check=False).returncode == 0


def use_newer_python() -> None:
    """Runs this again with the newest suitable Python on the path; returns where there is none."""
    for minor in range(NEWEST_KNOWN, OLDEST - 1, -1):
        if other := shutil.which(f"python3.{minor}"):
            os.execv(other, [other, *sys.argv])  # noqa: S606 - a program by its path, without a shell


if __name__ == "__main__":
    if sys.version_info < (3, OLDEST):
        use_newer_python()
        sys.exit(f"Python 3.{OLDEST} or newer is needed; this is {sys.version.split()[0]}.")
    sys.exit(main(Path(sys.argv[1]).absolute()))
