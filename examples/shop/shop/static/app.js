// Copyright: (c) 2026, mainstay contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
"use strict";

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const json = async (...request) => {
  const response = await fetch(...request);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
};

async function refresh() {
  try {
    const stats = await json("/stats");
    byId("done").textContent = stats.orders.done;
    byId("pending").textContent = stats.orders.pending;
    byId("sent").textContent = stats.mails.sent ?? 0;
    byId("tick").textContent = stats.tick_age_seconds === null ? "never" : `${Math.round(stats.tick_age_seconds)} s ago`;
  } catch { /* the next refresh tells */ }
}

function trail(text) {
  const line = document.createElement("li");
  const state = document.createElement("span");
  line.append(text, state);
  byId("trail").prepend(line);
  while (byId("trail").children.length > 5) byId("trail").lastChild.remove();
  return (word) => { state.textContent = word; };
}

async function order(event) {
  event.preventDefault();
  const form = new FormData(event.target);
  const body = JSON.stringify({ item: form.get("item"), quantity: Number(form.get("quantity")) });
  const say = trail(`${form.get("quantity")} × ${form.get("item")}`);
  const since = performance.now();
  try {
    let placed = await json("/orders", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    say("taken");
    for (let tries = 0; tries < 60 && placed.mail !== "sent"; tries += 1) {
      await sleep(500);
      placed = await json(`/orders/${placed.id}`);
      if (placed.status === "done") say(`${(placed.total_cents / 100).toFixed(2)} €, mail ${placed.mail}`);
    }
    const seconds = ((performance.now() - since) / 1000).toFixed(1);
    if (placed.mail === "sent") say(`${(placed.total_cents / 100).toFixed(2)} €, mail sent after ${seconds} s`);
  } catch (error) {
    say(error.message);
  }
}

async function listen() {
  for (let pause = 1000; ; pause = Math.min(2 * pause, 30000)) {
    await new Promise((closed) => {
      const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
      socket.onopen = () => { byId("live").textContent = "WebSocket: connected"; pause = 1000; };
      socket.onclose = closed;
    });
    byId("live").textContent = "WebSocket: reconnecting";
    await sleep(pause * (0.5 + Math.random()));
  }
}

byId("order").addEventListener("submit", order);
refresh();
setInterval(refresh, 5000);
listen();
