"""A client session of the official MCP SDK: reads a JSON command a line, prints a JSON answer a line.

Usage: client.py URL AUTHORITY. Commands: {"do": "initialize" | "list" | "call" | "tokens" | "events"}.
"""

import asyncio
import json
import sys

import httpx
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client


class Credentials(httpx.Auth):
    """Sends the first token; at a 401 it is thrown away and the next one is tried, as an OAuth client would."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.approval: str | None = None

    def auth_flow(self, request):
        request.headers["authorization"] = f"Bearer {self.tokens[0]}"
        if self.approval is not None and b'"tools/call"' in request.content:
            request.headers["agent-approval"] = self.approval
        response = yield request
        if response.status_code == 401 and len(self.tokens) > 1:
            del self.tokens[0]
            request.headers["authorization"] = f"Bearer {self.tokens[0]}"
            yield request


def reasons_of(error: BaseException) -> list[str]:
    """What a broken session broke of: the leaves of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [reason for inner in error.exceptions for reason in reasons_of(inner)]
    return [f"{type(error).__name__}: {error}"]


async def obey(session: ClientSession, session_id, credentials: Credentials, events: list, command: dict) -> dict:
    match command["do"]:
        case "initialize":
            found = await session.initialize()
            return {"server": found.serverInfo.name, "protocol": found.protocolVersion, "session": session_id()}
        case "list":
            return {"tools": [tool.name for tool in (await session.list_tools()).tools]}
        case "call":
            credentials.approval = command.get("approval")
            try:
                result = await session.call_tool(command["tool"], command["arguments"])
            finally:
                credentials.approval = None
            return {"is_error": result.isError, "text": result.content[0].text}
        case "events":
            for _ in range(100):
                if len(events) >= command["count"]:
                    break
                await asyncio.sleep(0.05)
            return {"events": events}


async def main() -> None:
    url, authority = sys.argv[1:]
    credentials, events = Credentials(), []
    commands = asyncio.Queue()

    def read_commands(loop) -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(commands.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(commands.put_nowait, None)

    asyncio.get_running_loop().run_in_executor(None, read_commands, asyncio.get_running_loop())

    def say(answer: dict) -> None:
        print(json.dumps(answer), flush=True)

    async def log(params) -> None:
        events.append(f"log: {params.data}")

    async def message(message) -> None:
        method = getattr(getattr(message, "root", None), "method", None)
        if method not in (None, "notifications/message"):
            events.append(method)

    try:
        async with (
            httpx.AsyncClient(auth=credentials, headers={"host": authority}, timeout=15) as http,
            streamable_http_client(url, http_client=http) as (reader, writer, session_id),
            ClientSession(reader, writer, logging_callback=log, message_handler=message) as session,
        ):
            while (command := await commands.get()) is not None:
                if command["do"] == "tokens":
                    credentials.tokens = command["tokens"]
                    say({})
                    continue
                try:
                    say(await obey(session, session_id, credentials, events, command))
                except McpError as error:
                    detail = error.error
                    say({"mcp_error": {"code": detail.code, "message": detail.message, "data": detail.data}})
    except BaseException as error:  # noqa: BLE001: whatever it is, it is what is asked about
        say({"broken": reasons_of(error)})
        return
    say({"closed": True})


asyncio.run(main())
