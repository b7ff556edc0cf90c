"""The peer: the same layers as a LangGraph state graph with its SQLite saver, nodes making the same call.

A node waits for the whole layer before it by a join edge, which is the documented way; results gather in one
list of the state. The saver's own settings are kept (WAL, synchronous=FULL, durability "async").
"""

import argparse
import asyncio
import operator
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

import httpx2
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from benchmarks.programs import chat_client
from benchmarks.programs.measure import Meter

WIDTH = 10


class State(TypedDict):
    results: Annotated[list[str], operator.add]


def node(
    connection: httpx2.AsyncClient, url: str, number: int
) -> Callable[[State], Awaitable[dict[str, list[str]]]]:
    async def run(_state: State) -> dict[str, list[str]]:
        return {"results": [await chat_client.ask(connection, url, number)]}

    return run


def graph_of(connection: httpx2.AsyncClient, url: str, tasks: int, saver: AsyncSqliteSaver) -> Any:
    builder: Any = StateGraph(State)
    before: list[str] = []
    for first in range(0, tasks, WIDTH):
        layer = [f"task-{number}" for number in range(first, min(first + WIDTH, tasks))]
        for number, name in enumerate(layer, first):
            builder.add_node(name, node(connection, url, number))
            builder.add_edge(before or START, name)
        before = layer
    for name in before:
        builder.add_edge(name, END)
    return builder.compile(checkpointer=saver)


async def run(connection: httpx2.AsyncClient, url: str, path: Path, tasks: int, meter: Meter) -> int:
    """The plan is data until here, so making it a graph is part of carrying it out, as it is in ours."""
    meter.start()
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        graph = graph_of(connection, url, tasks, saver)
        await saver.setup()
        meter.mark()
        config = {"configurable": {"thread_id": "1"}, "recursion_limit": tasks + 10, "max_concurrency": WIDTH}
        state = await graph.ainvoke({"results": []}, config)
        meter.stop()
    assert len(state["results"]) == tasks
    return sum(map(len, state["results"]))


async def main(url: str, folder: Path, tasks: int, warm: int) -> None:
    meter = Meter()
    path = folder / "langgraph.sqlite"
    async with chat_client.client() as connection:
        if warm:
            await run(connection, url, folder / "warm.sqlite", warm, Meter())
        text = await run(connection, url, path, tasks, meter)
    meter.report(stored=path.stat().st_size, text=text, done=tasks, prepared_cpu_s=meter.marked_cpu_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("tasks", type=int)
    parser.add_argument("--warm", type=int, default=0, help="tasks run before the measured ones")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.url, chosen.folder, chosen.tasks, chosen.warm))
