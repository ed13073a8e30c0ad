"""The API conforms to its description, as tested by schemathesis."""

import subprocess
import sys
from pathlib import Path

from model_server import ModelServer
from running_app import RunningApp
from test_todos import log_in
from todo.settings import Settings


def test_api_conforms_to_its_description(settings: Settings, tmp_path: Path) -> None:
    # With a model that returns nothing: without a model, 503 would be correct.
    model = ModelServer()
    addresses = model.run()
    app = RunningApp(
        DATABASE_URL=settings.database_url.get_secret_value(),
        JWT_SECRET=settings.jwt_secret.get_secret_value(),
        OPENAI_API_KEY="x",
        OPENAI_BASE_URL=next(addresses),
    )
    try:
        app.wait_until_ready()
        authorization = log_in(app.client, "anna@example.com")["Authorization"]
        finished = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli"),
                *("--config-file", Path(__file__).parent / "schemathesis.toml"),
                *("run", f"{app.client.base_url}/openapi.json", "--no-color"),
                *("--header", f"Authorization: {authorization}"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
    finally:
        app.stop()
        addresses.close()
