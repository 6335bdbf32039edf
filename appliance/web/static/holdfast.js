// What the pages do beyond htmx: the mode in the header, charts, copying, and what is open stays open.
"use strict";

const WORDS = {
  standby: "Standby",
  survivability: "Survivability",
  recovering: "Recovering",
  testing: "Testing",
  no_bundle: "No configuration",
};

// Events that a page takes itself; htmx must not write their JSON into it.
document.addEventListener("htmx:sseBeforeMessage", (event) => {
  const place = event.target;
  if (place.id !== "mode" && place.id !== "stale") return;
  event.preventDefault();
  const told = JSON.parse(event.detail.data);
  if (place.id === "mode") {
    place.dataset.mode = told.mode;
    place.textContent = WORDS[told.mode] || told.mode;
    place.title = told.reason || "";
  } else {
    place.hidden = !told.away;
  }
});

document.addEventListener("htmx:sseError", () => stale(true));
document.addEventListener("htmx:sseOpen", () => stale(false));

function stale(is) {
  const place = document.getElementById("stale");
  if (place) place.hidden = !is;
}

// What somebody has opened is still open when its list is renewed.
let open = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  open = [...event.detail.target.querySelectorAll("details[id][open]")].map((one) => one.id);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const id of open) {
    const details = document.getElementById(id);
    if (details) details.open = true;
  }
  open = [];
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.copy) {
    const text = document.querySelector(button.dataset.copy).textContent;
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } else if ("back" in button.dataset) {
    history.back();
  }
});

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (menu.matches && menu.matches(".menu[open]")) menu.querySelector("a").focus();
}, true);

document.addEventListener("keydown", (event) => {
  const menu = document.querySelector(".menu[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

async function chart(place) {
  const answer = await fetch(place.dataset.day);
  if (!answer.ok) return;
  const slots = await answer.json();
  const milliseconds = (value) => (value === null ? null : value * 1000);
  const data = [
    slots.map((slot) => slot.at),
    slots.map((slot) => milliseconds(slot.rtt)),
    slots.map((slot) => milliseconds(slot.longest)),
  ];
  if (data[1].every((value) => value === null)) {
    place.textContent = "No answers were seen yet.";
    return;
  }
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const options = {
    width: place.clientWidth,
    height: 160,
    legend: { live: false },
    cursor: { y: false },
    axes: [axis, { ...axis, values: (_, ticks) => ticks.map((tick) => `${tick} ms`), size: 64 }],
    scales: { y: { range: (_, low, high) => [0, high * 1.1 || 1] } },
    series: [
      {},
      { label: "mean", stroke: colour("--good"), width: 2, spanGaps: false },
      { label: "longest", stroke: colour("--weak"), width: 1, spanGaps: false },
    ],
  };
  const drawn = new uPlot(options, data, place);
  new ResizeObserver(() => drawn.setSize({ width: place.clientWidth, height: 160 })).observe(place);
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-day]").forEach(chart));
