"""Set up the virtual environment that every target of the Makefile runs in.

``make`` calls this before anything else, with the Python that the environment is to be made of. It needs
nothing but that Python's standard library. When all is in place it says nothing and ends at once. Otherwise
it takes a lock (two terminals may start at the same moment), makes the environment or brings it up to date,
and leaves a stamp in it.

The stamp is what makes this safe to interrupt: it is emptied before the first change and filled in after the
last. An environment with an empty stamp is made anew. A directory without a stamp is not ours: it is refused.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# One lock and one log for the checkout, not for each environment: all of them write p2pchat.egg-info.
LOCK = ROOT / "build" / "setup.lock"
LOG = ROOT / "build" / "setup.log"
# What p2pchat requires is written in these and nowhere else.
DECLARATIONS = ("setup.cfg", "pyproject.toml")
STAMP_NAME = "p2pchat-setup.json"
# The reason why pip gave up is in its last lines; more would push our own words off the screen.
TAIL_LINES = 15
# twistd caches its list of plugins on first use; done here, it neither delays nor clutters the first start.
LIST_PLUGINS = "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"


class SetupError(Exception):
    """The environment cannot be set up; the text tells the user why and what to do."""


@dataclass(frozen=True)
class Stamp:
    """What an environment was made of, or is to be made of."""

    python: str
    place: str
    declarations: str
    dev: bool

    def same_base(self, other: "Stamp") -> bool:
        """Tell whether one can be turned into the other by installing."""
        return (self.python, self.place) == (other.python, other.place)

    def covers(self, other: "Stamp") -> bool:
        """Tell whether this has all that the other asks for."""
        return self.same_base(other) and self.declarations == other.declarations and self.dev >= other.dev


def say(text: str) -> None:
    """Tell the user; on stderr, because stdout belongs to the program that runs after us."""
    print(text, file=sys.stderr, flush=True)


def wanted_stamp(venv: Path, dev: bool) -> Stamp:
    """Describe the environment that is asked for."""
    digest = hashlib.sha256()
    for name in DECLARATIONS:
        digest.update((ROOT / name).read_bytes() + b"\0")
    python = f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}"
    # Scripts and the editable install hold absolute paths: an environment that was moved is broken.
    return Stamp(python, f"{ROOT} in {venv}", digest.hexdigest(), dev)


def read_stamp(venv: Path) -> Stamp | None:
    """Return what the environment was made of, or None if that was never finished."""
    try:
        return Stamp(**json.loads((venv / STAMP_NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_stamp(venv: Path, stamp: Stamp | None) -> None:
    """Write the stamp; None empties it, which says that a change has begun."""
    venv.mkdir(parents=True, exist_ok=True)
    # Half a stamp, if we are stopped here, is read as none.
    (venv / STAMP_NAME).write_text(json.dumps(asdict(stamp)) if stamp else "")


def has_interpreter(venv: Path) -> bool:
    """Tell whether the Python that the environment was made of is still installed."""
    return os.access(venv / "bin" / "python", os.X_OK)


def is_ready(venv: Path, wanted: Stamp) -> bool:
    """Tell whether there is nothing to do."""
    found = read_stamp(venv)
    return found is not None and found.covers(wanted) and has_interpreter(venv)


@contextmanager
def lock_held() -> Iterator[int]:
    """Hold the lock of this checkout, waiting for it where another holds it; yield its descriptor."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another terminal is setting p2pchat up at this moment: waiting for it to finish...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def shown(path: Path) -> str:
    """Return the path as the user would type it here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def run_logged(lock: int, *command: str | Path) -> None:
    """Run a command with its output in the log.

    It inherits the lock, so that a pip that outlives us (kill -9) keeps the next set-up waiting until it is
    done, and reads nothing, because stdin belongs to the program that runs after us.

    :raises SetupError: it failed; with the end of the log.
    """
    with LOG.open("ab") as log:
        result = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[lock], check=False
        )
    if result.returncode:
        tail = LOG.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        raise SetupError(
            f"Set-up failed. The end of {shown(LOG)}:\n\n"
            + "".join(f"    {line}\n" for line in tail)
            + "\nOnce the reason is gone, give the same command again: it starts over."
        )


def interpreter(venv: Path) -> str:
    """Return the Python to make the environment of; not the environment's own, soon to be removed."""
    inside = Path(sys.prefix).resolve() == venv.resolve()
    return str(getattr(sys, "_base_executable", sys.executable)) if inside else sys.executable


def has_module(name: str) -> bool:
    """Tell whether this Python has the module; a directory that a package left behind has no origin."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def creator() -> str:
    """Return the name of the module that makes environments with this Python.

    :raises SetupError: it has none that works (Debian's python3 without python3-venv).
    """
    if has_module("venv") and has_module("ensurepip"):
        return "venv"
    if has_module("virtualenv"):
        return "virtualenv"
    raise SetupError(
        f"{sys.executable} cannot make a virtual environment: it lacks 'venv' or 'ensurepip'.\n"
        "On Debian and Ubuntu: apt install python3-venv\n"
        "Or name another Python, 3.11 or newer: make run PYTHON=python3.13"
    )


def check_ours(venv: Path) -> None:
    """Refuse a directory that holds something we did not put there.

    :raises SetupError: it does.
    """
    untouched = not os.path.lexists(venv) or (venv.is_dir() and not any(venv.iterdir()))
    if not untouched and not (venv / STAMP_NAME).exists():
        raise SetupError(
            f"{shown(venv)} was not made by this Makefile, so it is left alone.\n"
            "Remove it, or name another place for the virtual environment: make run VENV=.venv-p2pchat"
        )


def empty(venv: Path) -> None:
    """Remove all but the stamp, which tells that the rest is ours until the end."""
    for entry in venv.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != STAMP_NAME:
            entry.unlink()


def make_anew(venv: Path, module: str, lock: int) -> None:
    """Make an environment with nothing but pip in it."""
    python = interpreter(venv)
    write_stamp(venv, None)
    empty(venv)
    run_logged(lock, python, "-m", module, venv)


def install(venv: Path, lock: int, dev: bool) -> None:
    """Install p2pchat so that changes to the source take effect at once, with all it requires."""
    pip = (venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--no-input")
    run_logged(lock, *pip, "install", "--editable", ".[dev]" if dev else ".")
    run_logged(lock, venv / "bin" / "python", "-c", LIST_PLUGINS)


def reason_to_remake(venv: Path, wanted: Stamp) -> str | None:
    """Return why the environment must be made from nothing, or None if installing into it is enough."""
    if not (venv / STAMP_NAME).exists():
        return ""
    found = read_stamp(venv)
    if found is None:
        return "The last set-up was not finished, starting over. "
    if found.python != wanted.python or not has_interpreter(venv):
        return f"{shown(venv)} was made with {found.python}, this is {wanted.python}. "
    return None if found.same_base(wanted) else "The directory was moved. "


def announcement(venv: Path, wanted: Stamp, reason: str | None) -> str:
    """Return what is about to be done, in plain words."""
    what = "p2pchat and the development tools" if wanted.dev else "p2pchat"
    if reason is not None:
        return f"{reason}Making a virtual environment in {shown(venv)} and installing {what} into it"
    found = read_stamp(venv)
    if found and found.declarations != wanted.declarations:
        return f"{' or '.join(DECLARATIONS)} has changed: installing {what} into {shown(venv)} again"
    return f"Adding the development tools to {shown(venv)}"


def set_up(venv: Path, wanted: Stamp, lock: int) -> None:
    """Make the environment what is wanted."""
    check_ours(venv)
    reason = reason_to_remake(venv, wanted)
    module = None if reason is None else creator()
    say(f"{announcement(venv, wanted, reason)} (once, about a minute; log in {shown(LOG)})...")
    started = time.monotonic()
    LOG.write_bytes(b"")
    if module is None:
        write_stamp(venv, None)
    else:
        make_anew(venv, module, lock)
    install(venv, lock, wanted.dev)
    write_stamp(venv, wanted)
    say(f"Set up in {time.monotonic() - started:.0f} s.")


def prepare(venv: Path, dev: bool) -> None:
    """Set up the environment where it is not what is asked for."""
    wanted = wanted_stamp(venv, dev)
    if is_ready(venv, wanted):
        return
    with lock_held() as lock:
        # Whoever held the lock before us may have done our work.
        if not is_ready(venv, wanted):
            set_up(venv, wanted, lock)


def main() -> int:
    """Read the command line, set up, and return the exit status."""
    parser = argparse.ArgumentParser(description="Set up the virtual environment that p2pchat runs in.")
    parser.add_argument("--venv", default=".venv", help="where it is (default: %(default)s)")
    parser.add_argument("--dev", action="store_true", help="with the tools that tests and benchmarks need")
    options = parser.parse_args()
    try:
        prepare(Path(options.venv).absolute(), options.dev)
    except SetupError as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"Set-up failed: {error}")
        return 1
    except KeyboardInterrupt:
        say("\nSet-up interrupted. Give the same command again: it starts over.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
