"""At a real terminal, names are asked for, with what sets each segment apart."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from personalization.segmentation.definitions import read_segments

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0


def typed(command: list[str], home: Path, answers: list[bytes]) -> str:
    """What a command says at a terminal where somebody answers each question."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "GATEWAY_DATA_DIR": str(home)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said, answered, waiting, until = b"", 0, list(answers), time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < until:
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                said += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            start = said.rfind(b"\n") + 1
            line = said[start:]
            asks = line.startswith((b"Name [", b"Description")) and line.endswith(b": ")
            if waiting and asks and start >= answered:  # a question is answered once, however it arrives
                os.write(ours, waiting.pop(0))
                answered = len(said)
        assert not waiting, said.decode()
        assert process.wait(30) == 0, said.decode()
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)
    return said.decode()


def test_names_are_asked_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway", "segments", "define", "--k", "2"]
    said = typed(command, tmp_path, [b"Quiet\r", b"They come seldom\r", b"\r", b"\r"])
    assert "much less: " in said
    assert [(each.key, each.name, each.description) for each in read_segments(tmp_path / "segments.json").segments] == [
        ("segment-1", "Quiet", "They come seldom"),
        ("segment-2", "Segment 2", ""),
    ]
