# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WebSocket: says back what it hears, and something at least every 30 seconds."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from shop.config import settings

router = APIRouter()
connections: set[WebSocket] = set()

HEARTBEAT_SECONDS = 30
TOO_MANY, NOT_TEXT = 4029, 1003


@router.websocket("/ws")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()  # first, so that a browser gets to see the reason for the close
    if len(connections) >= settings.max_ws_connections:
        await websocket.close(TOO_MANY, "too many connections")
        return
    connections.add(websocket)
    try:
        await converse(websocket)
    except WebSocketDisconnect:
        pass
    finally:
        connections.discard(websocket)


async def converse(websocket: WebSocket) -> None:
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                message = await websocket.receive()
        except TimeoutError:
            await websocket.send_json({"type": "heartbeat"})
            continue
        if message["type"] == "websocket.disconnect":
            return
        if (text := message.get("text")) is None:
            await websocket.close(NOT_TEXT, "text only")
            return
        await websocket.send_text(text)
