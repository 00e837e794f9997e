"""Speaks docker's command line, as far as a worker does: `run`, `stop`, `rm`.

A container is a process in a session of its own, which outlives the command that started it and
sees only the environment that it was given. Its state is a file in the folder of `ENGINE`, beside
the command line.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PLACE = Path(os.environ.get("DOCKER_HOST", "")).resolve()
FLAGS = ("--rm", "--init")
UNKNOWN = {
    "no/such": "Unable to find image 'no/such:latest' locally\n"
    "docker: Error response from daemon: pull access denied for no/such, repository does not exist"
    " or may require 'docker login'\n\nRun 'docker run --help' for more information",
    "no/daemon": "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
    " Is the docker daemon running?\n\nRun 'docker run --help' for more information",
}
"""Images that it cannot run, and what it says."""


def main() -> None:
    verb, arguments = sys.argv[1], sys.argv[2:]
    with (PLACE / "calls").open("a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\n")
    if verb == "run":
        run(arguments)
    pid = PLACE / arguments[-1]
    if not pid.exists():
        return
    if verb == "stop":
        end(int(pid.read_text()), float(arguments[arguments.index("-t") + 1]))
    elif verb == "rm":
        end(int(pid.read_text()), 0)
        pid.unlink(missing_ok=True)


def run(arguments: list[str]) -> None:
    options: dict[str, list[str]] = {}
    while arguments[0].startswith("--"):
        name = arguments.pop(0)
        options.setdefault(name, []).append("" if name in FLAGS else arguments.pop(0))
    image, *rest = arguments
    if image in UNKNOWN:
        print(UNKNOWN[image], file=sys.stderr)
        sys.exit(125)
    env = {"PATH": os.environ["PATH"], "IMAGE": image}
    for text in options["--env"]:
        name, given, value = text.partition("=")
        env[name] = value if given else os.environ[name]
    process = subprocess.Popen(
        [*options["--entrypoint"], *rest], env=env, cwd=options["--workdir"][0],
        start_new_session=True,
    )  # fmt: skip
    state = PLACE / options["--name"][0]
    state.write_text(str(process.pid))
    code = process.wait()
    state.unlink(missing_ok=True)
    sys.exit(128 - code if code < 0 else code)


def end(pid: int, seconds: float) -> None:
    """SIGTERM now, SIGKILL after `seconds`, and the end of the process."""
    os.kill(pid, signal.SIGTERM if seconds else signal.SIGKILL)
    until = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
