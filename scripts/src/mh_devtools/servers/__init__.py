"""Private instances of the servers that the platform needs, on loopback only.

Used by the embedded stack, the server stack and the tests. Uses only the standard library, because the set-up looks for
a Redis here before anything is installed.
"""

from mh_devtools.servers.processes import (
    PORTS,
    SEARCH_PATH,
    WORKER_APP,
    WORKER_PROCESSES,
    WORKER_THREADS,
    Running,
    ServerError,
    StartProcess,
    free_port,
    listens,
    on_path,
    start,
    wait_until,
    worker_arguments,
)
from mh_devtools.servers.stores import (
    FETCHED_REDIS,
    MYSQL_IMAGE,
    NO_REDIS,
    REDIS_IMAGE,
    MySQLProgram,
    docker_is_available,
    docker_server,
    find_mysql,
    find_redis,
    start_milvus_lite,
    start_mysql,
    start_redis,
)

__all__ = [
    "FETCHED_REDIS",
    "MYSQL_IMAGE",
    "NO_REDIS",
    "PORTS",
    "REDIS_IMAGE",
    "SEARCH_PATH",
    "WORKER_APP",
    "WORKER_PROCESSES",
    "WORKER_THREADS",
    "MySQLProgram",
    "Running",
    "ServerError",
    "StartProcess",
    "docker_is_available",
    "docker_server",
    "find_mysql",
    "find_redis",
    "free_port",
    "listens",
    "on_path",
    "start",
    "start_milvus_lite",
    "start_mysql",
    "start_redis",
    "wait_until",
    "worker_arguments",
]
