"""`unspool serve`: model files in, a server over HTTP."""

import os
import sys
from typing import Annotated

from cyclopts import Group, Parameter

from unspool.errors import MissingExtra, OptionError

LIMITS = Group("Limits of a request", sort_key=3)


def serve(
    *models: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    root_path: str = "",
    workers: int = 1,
    watch: bool = False,
    max_sequences: Annotated[int, Parameter(group=LIMITS)] = 100_000,
    max_steps: Annotated[int, Parameter(group=LIMITS)] = 10_000_000,
    max_body: Annotated[int, Parameter(group=LIMITS)] = 1 << 20,
    max_queue: Annotated[int, Parameter(group=LIMITS)] = 256,
    max_kinds: Annotated[int, Parameter(group=LIMITS)] = 64,
) -> None:
    """Serve models over HTTP.

    ```
    unspool serve names.unspool
    curl http://127.0.0.1:8000/v1/models/names/generate --json '{"inputs": {"country": "Irish"}, "seed": 1}'
    ```

    A model is named after its file. The answers are those of `unspool generate`, whoever else is served; /openapi.json
    describes them. SIGHUP loads the models again; SIGTERM ends the server when the requests under way are answered.

    Args:
        models: the model files.
        host: the address to listen at. Where other machines can connect, a token is needed.
        port: the port.
        token: what requests must send as "Authorization: Bearer TOKEN"; by default the environment variable
            UNSPOOL_TOKEN, which other users of the machine can't read.
        root_path: where a proxy has put the server, such as /models.
        workers: processes, each with all models.
        watch: load a model again when its file changes.
        max_sequences: rows of inputs times samples.
        max_steps: steps of all sequences of a request.
        max_body: bytes.
        max_queue: requests of a model that may be under way; more are answered with 429.
        max_kinds: combinations of a rule and of columns with constraints for which a model has programs; a request of
            another one is refused with 422, since each takes seconds to compile.
    """
    try:
        from unspool.serving.limits import Limits
        from unspool.serving.run import Settings, run_server
    except ImportError as error:
        hint = "pip install 'unspool[serve]'"
        raise MissingExtra("serve", f"the package {error.name}", "none", hint) from None
    if not models:
        raise OptionError("MODEL", "at least one model file", "none", "Name one, such as names.unspool.")
    given = token or os.environ.get("UNSPOOL_TOKEN") or None
    limits = Limits(sequences=max_sequences, total=max_steps, body=max_body, queue=max_queue, kinds=max_kinds)
    print(f"unspool: http://{host}:{port}{root_path}", file=sys.stderr)
    run_server(
        Settings(
            models=list(models), host=host, port=port, token=given, root_path=root_path, workers=workers, watch=watch,
            limits=limits,
        )
    )  # fmt: skip
