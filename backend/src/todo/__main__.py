"""The server: `python -m todo`."""

import logging
import sys

import uvicorn
from pydantic import ValidationError

from todo.app import create_app
from todo.settings import Settings


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # Alembic tells of itself at each start; our own lines say what matters.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0]).upper()
            print(f"environment variable {name}: {problem['msg']}", file=sys.stderr)
        return 2
    if len(settings.jwt_secret.get_secret_value()) < 32:
        logging.getLogger("todo").warning("JWT_SECRET is short: use 32 characters or more")
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        # Requests that have begun are answered, but none is waited for without end.
        timeout_graceful_shutdown=10,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
