"""What the tests see from inside the shop: which calls came, how many at once; and a way to make it slow or fail."""

import json
import threading
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

PROBE = "/_probe/"


class ProbeMiddleware:
    """Counts calls and, when told to by a POST to `/_probe/`, delays them or answers 500."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._lock = threading.Lock()
        self._begin({})

    def _begin(self, orders: dict[str, object]) -> None:
        self._calls: list[str] = []
        self._inside = self._most = 0
        self._delay = float(str(orders.get("delay_s", 0)))
        self._broken = str(orders.get("broken", ""))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == PROBE:
            return self._report(request)
        with self._lock:
            self._calls.append(f"{request.method} {request.get_full_path()}")
            self._inside += 1
            self._most = max(self._most, self._inside)
        try:
            return self._answer(request)
        finally:
            with self._lock:
                self._inside -= 1

    def _answer(self, request: HttpRequest) -> HttpResponse:
        time.sleep(self._delay)
        if self._broken and self._broken in request.path:
            return HttpResponse(status=500)
        return self._get_response(request)

    def _report(self, request: HttpRequest) -> HttpResponse:
        with self._lock:
            if request.method == "POST":
                self._begin(json.loads(request.body))
            return JsonResponse({"calls": self._calls, "most": self._most})
