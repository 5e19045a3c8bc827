"""Programs in Node that tests speak with: graphql-http's audits, Apollo, a code generator, a GA4 tag, OpenFeature."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "node"
LONGEST_S = 120
CHECKS = (
    *("--noEmit", "--strict", "--skipLibCheck", "--lib", "es2022"),
    *("--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"),
)


def run_audits(url: str) -> dict[str, Any]:
    """What `graphql-http` finds: how many `audits`, how many `ok`, and those that `failed`."""
    return _report("audits.mjs", url)


def run_apollo(url: str, plain: str, deferred: str) -> dict[str, Any]:
    """What Apollo Client makes of two queries: for each, the media type of the answer and every state of the data."""
    return _report("apollo.mjs", url, plain, deferred)


def run_tag(server: str, decision_id: str, exposure_id: str) -> dict[str, Any]:
    """What a tag of a shop gets from a collector: `statuses` by what it sent, and `limited` when it sent too much."""
    return _report("tag.mjs", server, decision_id, exposure_id)


def run_ofrep(url: str, token: str, fresh: Path, file: Path) -> dict[str, Any]:
    """What OpenFeature's web SDK sees of flags, before and after `fresh` takes the place of the definitions `file`."""
    return _report("--experimental-eventsource", "ofrep.mjs", url, token, str(fresh), str(file))


def generate_types(schema: Path, out: Path) -> str:
    """TypeScript types of a schema, written to `out` and checked by the compiler."""
    tools = "node_modules/.bin"
    _run(
        ["node", f"{tools}/graphql-codegen", "--config", "codegen.mjs"],
        {**os.environ, "SCHEMA": str(schema), "OUT": str(out)},
    )
    _run(["node", f"{tools}/tsc", *CHECKS, str(out)], dict(os.environ))
    return out.read_text()


def _report(*arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(_run(["node", *arguments], dict(os.environ), may_fail=True))
    return report


def _run(command: list[str], environment: dict[str, str], *, may_fail: bool = False) -> str:
    assert shutil.which(command[0]), f"these tests need {command[0]}: install Node 20.18 or newer"
    assert (FOLDER / "node_modules").is_dir(), (
        "run `npm install --no-package-lock` in tests/node first, as `make test` does"
    )
    done = subprocess.run(
        command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert done.stdout if may_fail else done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout
