"""The gateway as a process of its own, started as a user would."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bench.processes import free_port

ROOT = Path(__file__).parents[2]


@contextmanager
def gateway_process(data_dir: Path, **settings: str) -> Iterator[str]:
    """The address of `gateway serve` once it says that it is ready; stopped at the end."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    environment |= {f"GATEWAY_{name.upper()}": value for name, value in {"learning": "false", **settings}.items()}
    environment |= {"GATEWAY_DATA_DIR": str(data_dir), "GATEWAY_LOG_LEVEL": "WARNING", "GATEWAY_DRAIN_TIMEOUT_S": "2"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, f"gateway serve ended with {process.returncode}"
        try:
            urlopen(f"{url}/ready", timeout=1).close()
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the gateway never became ready")
