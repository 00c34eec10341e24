"""An MCP server on a free port of this host, made with the official SDK. Prints its port, then one JSON line a call."""

import contextlib
import json
import socket

import uvicorn
from mcp.server.fastmcp import Context, FastMCP
from mcp.server.transport_security import TransportSecuritySettings

AUTHORITY = "forum.internal.example"

server = FastMCP(
    "forum",
    log_level="CRITICAL",
    transport_security=TransportSecuritySettings(allowed_hosts=[AUTHORITY]),
)


def say(**message) -> None:
    print(json.dumps(message), flush=True)


def called(tool: str, context: Context) -> None:
    headers = context.request_context.request.headers
    own = {name: value for name, value in headers.items() if name.startswith("x-remit-") or name == "agent-approval"}
    say(called=tool, headers=own)


@server.tool()
async def read_thread(thread_id: str, context: Context) -> str:
    """Reads a thread: says so in the answer's own stream first, and in the stream of the session."""
    called("read_thread", context)
    await context.info(f"reading {thread_id}")
    # Belongs to no request, so it goes through the stream that the client opened with GET.
    await context.session.send_resource_list_changed()
    return f"thread {thread_id}: the build is slow"


@server.tool()
async def publish_reply(thread_id: str, text: str, context: Context) -> str:
    """Posts in a thread."""
    called("publish_reply", context)
    return f"published in {thread_id}: {text}"


@server.tool()
async def explode(context: Context) -> str:
    """No catalog knows it."""
    called("explode", context)
    return "boom"


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    say(port=listener.getsockname()[1])
    config = uvicorn.Config(server.streamable_http_app(), log_level="warning", access_log=False)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


main()
