// Copyright: (c) 2026, mainstay contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
"use strict";

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const shown = new Set();
let socket;

function show(message) {
  if (shown.has(message.id)) return;
  shown.add(message.id);
  const line = document.createElement("li");
  const author = document.createElement("b");
  author.textContent = message.author;
  line.append(author, message.text);
  byId("messages").append(line);
  line.scrollIntoView();
}

async function listen() {
  for (let pause = 1000; ; pause = Math.min(2 * pause, 30000)) {
    await new Promise((closed) => {
      socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
      socket.onclose = closed;
      socket.onmessage = (event) => {
        const message = JSON.parse(event.data);
        if (message.id) show(message);
        else byId("live").textContent = message.error;
      };
      socket.onopen = async () => {
        byId("live").textContent = "connected";
        pause = 1000;
        const missed = await fetch("/messages");
        if (missed.ok) (await missed.json()).forEach(show);
      };
    });
    byId("live").textContent = "reconnecting";
    await sleep(pause * (0.5 + Math.random()));
  }
}

byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  const form = new FormData(event.target);
  socket.send(JSON.stringify({ author: form.get("author"), text: form.get("text") }));
  event.target.elements.text.value = "";
});

listen();
