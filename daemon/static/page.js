// What the page does beyond HTML: passkeys, and charts that can be read off.  Without it, everything can be read, and
// decisions are made with the password.
"use strict";

async function send(path, token, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Form-Token": token },
    body: JSON.stringify(body),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail || told.title || `the page answered ${answer.status}`);
  return told;
}

function say(form, text, bad) {
  let place = form.querySelector("[role=status]");
  if (!place) {
    place = document.createElement("p");
    place.setAttribute("role", "status");
    form.append(place);
  }
  place.textContent = text;
  place.className = bad ? "banner bad" : "hint";
}

async function makePasskey(form) {
  const token = form.dataset.token;
  const password = form.elements.password ? form.elements.password.value : "";
  const options = await send("/api/v1/passkey-options", token, { password });
  const made = await navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
  });
  await send("/api/v1/passkeys", token, { credential: made.toJSON(), label: form.elements.label.value });
  location.reload();
}

async function signForm(form) {
  const value = (name) => (form.elements[name] ? form.elements[name].value : "");
  const options = await send("/api/v1/challenges", value("form_token"), {
    says: form.dataset.says,
    subject: form.dataset.subject,
    about: value("request_id"),
    reason: value("reason"),
  });
  const got = await navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
  });
  const field = document.createElement("input");
  field.type = "hidden";
  field.name = "assertion";
  field.value = JSON.stringify(got.toJSON());
  form.append(field);
  form.elements.password.value = "";
  form.submit();
}

function guarded(form, work) {
  work(form).catch((error) => {
    const name = error.name === "NotAllowedError" ? "the passkey was not used: cancelled, or none fits" : error.message;
    say(form, `Nothing was recorded: ${name}.`, true);
  });
}

function passkeys() {
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) return;
  const making = document.getElementById("make-passkey");
  if (making) {
    making.addEventListener("submit", (event) => {
      event.preventDefault();
      guarded(making, makePasskey);
    });
  }
  for (const button of document.querySelectorAll("button[data-passkey]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const form = button.form;
      form.elements.password.required = false;
      const whole = form.reportValidity();
      form.elements.password.required = true;
      if (whole) guarded(form, signForm);
    });
  }
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A chart stands beside its SVG, which stays for those who print or have no script; the numbers are in the figure's table.
function charts() {
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const told = JSON.parse(figure.dataset.chart);
    const place = document.createElement("div");
    place.className = "uchart";
    place.setAttribute("aria-hidden", "true");
    const svg = figure.querySelector("svg");
    svg.before(place);
    svg.classList.add("printed");
    draw(place, told);
  }
}

function draw(place, told) {
  const wide = () => Math.max(240, place.clientWidth);
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  const bars = (plot) => {
    const ctx = plot.ctx;
    ctx.save();
    for (const one of told.lines) {
      ctx.strokeStyle = colour(one.colour);
      ctx.lineWidth = 2 * devicePixelRatio;
      one.rate.forEach((rate, place) => {
        if (rate === null) return;
        const x = plot.valToPos(told.pileup[place], "x", true) + one.aside * devicePixelRatio;
        ctx.beginPath();
        ctx.moveTo(x, plot.valToPos(Math.max(one.low[place], told.floor), "y", true));
        ctx.lineTo(x, plot.valToPos(one.high[place], "y", true));
        ctx.stroke();
        ctx.beginPath();
        ctx.arc(x, plot.valToPos(Math.max(rate, told.floor), "y", true), 4 * devicePixelRatio, 0, 7);
        ctx.fillStyle = colour(one.colour);
        ctx.fill();
      });
    }
    for (const [level, dash, name] of [[told.target, [6, 4], "--soft"], [told.champion, [2, 3], "--warn"]]) {
      if (!level) continue;
      const y = plot.valToPos(level, "y", true);
      ctx.strokeStyle = colour(name);
      ctx.setLineDash(dash.map((one) => one * devicePixelRatio));
      ctx.beginPath();
      ctx.moveTo(plot.bbox.left, y);
      ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  };
  const khz = (value) => (value === null || value === undefined ? "–" : `${Number(value.toPrecision(3))} kHz`);
  const options = {
    width: wide(),
    height: 240,
    cursor: { drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: false, range: [told.from, told.to] },
      y: { distr: 3, range: [told.floor, told.ceiling] },
    },
    axes: [
      { ...axis, label: "pileup", labelSize: 18, size: 34 },
      { ...axis, label: "rate in kHz", labelSize: 18, size: 52, values: (_, all) => all.map((one) => (one === null ? "" : String(one))) },
    ],
    series: [
      { label: "pileup from", value: (_, value) => (value === null ? "–" : String(value - told.step / 2)) },
      ...told.lines.map((one) => ({
        label: one.name,
        stroke: colour(one.colour),
        paths: () => null,
        points: { show: false },
        value: (_, value) => khz(value),
      })),
    ],
    hooks: { draw: [bars] },
  };
  const plot = new uPlot(options, [told.pileup, ...told.lines.map((one) => one.rate)], place);
  new ResizeObserver(() => plot.setSize({ width: wide(), height: 240 })).observe(place);
}

document.addEventListener("DOMContentLoaded", () => {
  passkeys();
  if (window.uPlot) charts();
});
