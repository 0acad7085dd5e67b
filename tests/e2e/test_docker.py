"""What docker/ and deploy/ bring along, as far as no engine is needed for that: docker/try shows the rest."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from support.running import ROOT, bin_dir, wait_until

PROGRAMS = ("producer", "consumer", "fullcheck", "status")
SHIPPED = ("docker/local.conf", "docker/aws.conf", "deploy/kubernetes/dynaferry.conf")


@pytest.mark.parametrize("conf", SHIPPED)
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_takes_a_shipped_configuration(conf, program, tmp_path):
    """With the secrets as the manifests give them: in files, which are not shown."""
    (tmp_path / "password").write_text("kennwort\n")
    (tmp_path / "address").write_text("mongodb://u:kennwort@example.com/\n")
    environment = {
        "DYNAFERRY_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password"),
        "DYNAFERRY_TARGET_ADDRESS_FILE": str(tmp_path / "address"),
    }
    done = subprocess.run(
        [bin_dir() / f"dynaferry-{program}", "--conf", ROOT / conf, "--print-config"],
        env=environment, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "kafka.bootstrap.servers" in done.stdout and "kennwort" not in done.stdout + done.stderr


@pytest.fixture
def serve():
    """docker/serve in a session of its own, as the first process of a container."""
    processes = []

    def start(*command):
        processes.append(subprocess.Popen(
            [ROOT / "docker" / "serve", *command],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        ))  # fmt: skip
        return processes[-1]

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end(process):
    """As the engine stops a container: the first process is told to, and must see to the rest."""
    process.send_signal(signal.SIGTERM)
    return process.wait(20)


@pytest.mark.parametrize("code", [0, 64, 78])
def test_what_a_restart_can_not_help_is_not_restarted(serve, code):
    process = serve("sh", "-c", f"exit {code}")
    assert f"ended with {code}" in process.stderr.readline()
    assert process.poll() is None
    assert end(process) == code
    no_process_is_left(process)


@pytest.mark.parametrize("how, code", [("exit 1", 1), ("exit 69", 69), ("kill -9 $$", 137)])
def test_any_other_end_is_left_to_the_restart_policy(serve, how, code):
    process = serve("sh", "-c", how)
    assert process.wait(20) == code
    no_process_is_left(process)


@pytest.mark.parametrize("ends_with", [0, 78, 3])
def test_a_stop_is_passed_on_and_awaited(serve, ends_with):
    program = f"""if True:
        import signal, sys, time
        def stop(*_):
            print("stopping", flush=True)
            time.sleep(0.3)  # it finishes what is open
            sys.exit({ends_with})
        signal.signal(signal.SIGTERM, stop)
        print("running", flush=True)
        while True:
            signal.pause()
    """
    process = serve(sys.executable, "-c", program)
    assert process.stdout.readline() == "running\n"
    assert end(process) == ends_with
    assert process.stdout.read() == "stopping\n"
    no_process_is_left(process)


def no_process_is_left(process):
    def gone():
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True

    wait_until(gone, 10, "the end of every process of docker/serve")
