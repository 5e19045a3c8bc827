"""A process started and waited for without holding the interpreter's lock.

`subprocess` holds it until the child runs its own program. Where the processors are busy that is ten milliseconds for
every thread. A foreign call holds none.
"""

import ctypes
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic, sleep

_OPAQUE_BYTES = 4096
_LOOK_SECONDS = 0.005


def run(command: Sequence[str], environment: Mapping[str, str], source: int, sink: int, seconds: float) -> int:
    """The exit status of a program that reads the file `source` and writes to `sink` (descriptors).

    Raises:
        OSError: it could not be started.
        TimeoutError: it took more than `seconds`, and was killed.
    """
    process = _start(command, environment, source, sink)
    until = monotonic() + seconds
    try:
        while monotonic() < until:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                process = 0
                return os.waitstatus_to_exitcode(status)
            sleep(_LOOK_SECONDS)
    finally:
        if process:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
    raise TimeoutError(f"the program took over {seconds} s")


def _start(command: Sequence[str], environment: Mapping[str, str], source: int, sink: int) -> int:
    system = ctypes.CDLL(None)
    process, actions = ctypes.c_int(), ctypes.create_string_buffer(_OPAQUE_BYTES)
    system.posix_spawn_file_actions_init(actions)
    try:
        system.posix_spawn_file_actions_adddup2(actions, source, 0)
        system.posix_spawn_file_actions_adddup2(actions, sink, 1)
        if hasattr(system, "posix_spawn_file_actions_addclosefrom_np"):  # not everywhere: few are inheritable anyway
            system.posix_spawn_file_actions_addclosefrom_np(actions, 3)
        variables = [f"{name}={value}" for name, value in environment.items()]
        program = os.fsencode(command[0])
        failed = system.posix_spawn(ctypes.byref(process), program, actions, None, _texts(command), _texts(variables))
    finally:
        system.posix_spawn_file_actions_destroy(actions)
    if failed:
        raise OSError(failed, os.strerror(failed), command[0])
    return process.value


def _texts(texts: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(texts) + 1))(*map(os.fsencode, texts), None)
