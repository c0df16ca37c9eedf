"""Starting Gunicorn: its arguments, and the number of workers."""

import logging
import os
from pathlib import Path

import pytest
from gunicorn.config import Config
from mh_common.logging import configure_logging
from mh_common.settings import LogSettings, WebSettings
from mh_common.web import gunicorn_conf
from mh_common.web.draining import DrainingWorker
from mh_common.web.serving import WORKER_BYTES, default_concurrency, gunicorn_arguments

PROCESSORS = len(os.sched_getaffinity(0))


def test_the_arguments_follow_the_settings() -> None:
    settings = WebSettings(host="::1", port=8001, concurrency=3)
    assert gunicorn_arguments("service.main:create_app()", settings) == [
        *("-m", "gunicorn", "--config=python:mh_common.web.gunicorn_conf", "--bind=[::1]:8001", "--workers=3"),
        "service.main:create_app()",
    ]
    assert "--bind=127.0.0.2:8000" in gunicorn_arguments("a:b", WebSettings(host="127.0.0.2", concurrency=1))


@pytest.mark.parametrize(
    ("processors", "memory", "workers"),
    [
        (None, None, PROCESSORS),
        ("max 100000", "max", PROCESSORS),
        ("100000 100000", "max", 1),
        ("150000 100000", "max", min(2, PROCESSORS)),
        ("max 100000", str(WORKER_BYTES), 1),
        ("max 100000", "1000", 1),
        ("6400000 100000", str(100 * WORKER_BYTES), PROCESSORS),
    ],
)
def test_there_is_one_worker_per_available_cpu(
    tmp_path: Path, processors: str | None, memory: str | None, workers: int
) -> None:
    for name, text in (("cpu.max", processors), ("memory.max", memory)):
        if text is not None:
            (tmp_path / name).write_text(f"{text}\n")
    assert default_concurrency(tmp_path) == workers


def test_gunicorn_has_every_setting_and_workers_time_out_before_the_master() -> None:
    config = Config()
    ours = {name: value for name, value in vars(gunicorn_conf).items() if name in config.settings}
    for name, value in ours.items():
        config.set(name, value)
    assert config.worker_class is DrainingWorker
    assert {"asgi_lifespan", "control_socket_disable", "keepalive", "limit_request_line"} <= set(ours)
    assert {"on_starting", "post_fork"} <= set(ours)

    class Worker:
        cfg = config

    gunicorn_conf.post_fork(None, Worker())
    assert config.graceful_timeout < gunicorn_conf.graceful_timeout < 30


def test_gunicorn_worker_logs_use_our_format(capsys: pytest.CaptureFixture[str]) -> None:
    gunicorn = logging.getLogger("gunicorn.error")
    gunicorn.addHandler(logging.StreamHandler())
    gunicorn.propagate = False
    configure_logging(LogSettings(), "some-api")
    gunicorn.error("lost a worker")
    said = capsys.readouterr()
    assert said.err == ""
    assert '"event": "lost a worker"' in said.out
