import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = (sys.executable, "-m", "orchestrator.cli", "demo", "--data-dir")
HERE = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.timeout(240)
def test_the_demo_brings_a_team_up_uses_it_and_lets_it_go(tmp_path: Path):
    demo = subprocess.run(
        [*DEMO, str(tmp_path), "--once"], env=HERE, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    for line in (
        "$ kubectl get cronjob ai-pipeline-extend-platform-sre -n incidentfox",
        "$ kubectl get deployment agent-dedicated-extend-platform-sre -n incidentfox",
        "$ kubectl get service agent-dedicated-extend-platform-sre -n incidentfox",
        "The pipeline learned 5 entries",
        "fraud-check",
        "No resources found in incidentfox namespace.",
    ):
        assert line in demo.stdout


@pytest.mark.timeout(240)
def test_a_demo_that_goes_on_ends_well_with_ctrl_c(tmp_path: Path):
    with subprocess.Popen(
        [*DEMO, str(tmp_path)], env=HERE, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        told = any("In another shell" in line for line in demo.stdout)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=60) == 0
    assert told
