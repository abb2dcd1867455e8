"""`python -m agent_runtime`: serve until told to stop."""

import signal
import sys
from types import FrameType

import structlog
import uvicorn
from pydantic import ValidationError

from agent_runtime.app import create_app
from agent_runtime.settings import Settings
from servicekit.logs import configure_logs

log = structlog.get_logger()

#: How long requests that are running may take to end after SIGTERM, in seconds; less than a pod's 30.
GRACE_S = 25


def main() -> None:
    """Read the settings and serve; a clean stop ends with status 0, wrong settings with 2."""
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = ".".join(map(str, fault["loc"])).upper()
            sys.stderr.write(f"{name}: {fault['msg']}\n" if name else f"{fault['msg']}\n")
        sys.exit(2)
    configure_logs(settings.log_format)
    if settings.is_partly_dedicated:
        log.warning("serving_every_team", reason="ORG_ID, TEAM_NODE_ID and TEAM_TOKEN_FILE are not all set")
    # uvicorn raises the signal again once requests have ended; without this the pod would end as failed.
    signal.signal(signal.SIGTERM, _stop)
    uvicorn.run(
        create_app(settings),
        host=settings.agent_host,
        port=settings.agent_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
