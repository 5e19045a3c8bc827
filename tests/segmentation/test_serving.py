"""The process that serves has nothing of segmentation in it."""

import subprocess
import sys


def test_the_serving_process_imports_no_library_of_data_scientists() -> None:
    names = "{'sklearn', 'scipy', 'catboost', 'pandas', 'apscheduler', 'personalization.segmentation.clustering'}"
    code = f"import sys, gateway.app, gateway.server; print(sorted({names} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
