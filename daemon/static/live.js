// Follows the record: shows what the server says is now, how old it is, and when nothing is heard any more.
"use strict";

const place = document.getElementById("live");
const said = document.getElementById("live-said");
const SILENT_MS = 20000;
let heard = Date.now();
let source = null;

function age(seconds) {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

function tell(text, kind) {
  if (said.textContent !== text) said.textContent = text;
  said.className = `banner ${kind}`;
  place.classList.toggle("stale", kind !== "good");
}

function tick() {
  for (const one of place.querySelectorAll("time[data-age]")) {
    one.textContent = age((Date.now() - Date.parse(one.dateTime)) / 1000);
  }
  if (Date.now() - heard > SILENT_MS) {
    tell(`Not live: nothing heard for ${Math.round((Date.now() - heard) / 1000)} s. What is shown is old.`, "bad");
  }
}

function alive() {
  heard = Date.now();
  tell("Live", "good");
}

function follow() {
  source = new EventSource(`/live/events?after=${encodeURIComponent(place.dataset.shown)}`);
  source.addEventListener("shown", (event) => {
    place.innerHTML = event.data; // our own HTML, escaped on the server
    place.dataset.shown = event.lastEventId;
    alive();
    tick();
  });
  source.addEventListener("beat", alive);
  source.addEventListener("over", () => {
    source.close();
    location.assign("/login?to=/live");
  });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
    setTimeout(again, 15000);
  });
}

// Refused for good: too many watch, or the session is gone. Read the page anew once it answers.
function again() {
  fetch("/healthz").then(
    (answer) => (answer.ok ? location.reload() : setTimeout(again, 5000)),
    () => setTimeout(again, 5000),
  );
}

follow();
tick();
setInterval(tick, 1000);
