"""The server: `python -m todo`."""

import logging
import sys

import uvicorn
from pydantic import ValidationError

from todo import logs
from todo.app import create_app
from todo.settings import Settings, report_invalid_settings


def main() -> int:
    logs.configure()
    try:
        settings = Settings()
    except ValidationError as error:
        return report_invalid_settings(error)
    if len(settings.jwt_secret.get_secret_value()) < 32:
        logging.getLogger("todo").warning("JWT_SECRET is short: use 32 characters or more")
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        # Running requests are answered, up to a time limit.
        timeout_graceful_shutdown=10,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
