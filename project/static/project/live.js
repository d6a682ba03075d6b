// Shows what has changed each second. Whatever has not changed keeps its node, and with it the focus, the selection, what
// is unfolded, and where a screen reader is; what is new in an element with role="status" is read out once.
"use strict";

const live = document.getElementById("live");
const messages = document.getElementById("messages");
const pause = document.getElementById("pause");
let timer = 0;

const keyOf = (node) => node.dataset?.key;
const isSame = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

// Makes an element, and what is in it, like another one.
function morph(old, fresh) {
  if (old instanceof CharacterData) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  morphAttributes(old, fresh);
  const kept = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
  const wanted = new Set([...fresh.children].map(keyOf));
  let place = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const match = keyOf(node) ? kept.get(keyOf(node)) : place && isSame(place, node) ? place : null;
    if (!match) {
      old.insertBefore(node, place);
      continue;
    }
    while (place && place !== match && !wanted.has(keyOf(place) ?? NaN)) place = removed(place);
    if (place !== match) old.insertBefore(match, place);
    morph(match, node);
    place = match.nextSibling;
  }
  while (place) place = removed(place);
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function morphAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  // What is unfolded was unfolded by whoever reads it.
  for (const { name } of [...old.attributes]) if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
}

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

async function poll() {
  clearTimeout(timer);
  try {
    const answer = await fetch(live.dataset.url);
    if (answer.ok && !isPaused()) show(parsed(await answer.text()).body);
  } catch { /* the server is gone; what is shown stays */ }
  next();
}

// Takes what was read as the new content; the element itself stays as it is.
function show(fresh) {
  const copy = live.cloneNode(false);
  copy.append(...fresh.childNodes);
  morph(live, copy);
}

function next() {
  clearTimeout(timer);
  if (!isPaused()) timer = setTimeout(poll, 1000);
}

const isPaused = () => document.hidden || pause.getAttribute("aria-pressed") === "true";

// A button does what it says without loading the page anew, so that the focus stays on it; one after the other, in the
// order in which they were pressed.
let sent = Promise.resolve();

function submit(event) {
  event.preventDefault();
  sent = sent.then(() => send(event.target));
}

async function send(form) {
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
    const page = parsed(await answer.text());
    morph(messages, page.getElementById("messages"));
    show(page.getElementById("live"));
  } catch {
    form.submit();
  }
}

document.addEventListener("submit", submit);
document.addEventListener("visibilitychange", () => (isPaused() ? clearTimeout(timer) : poll()));
pause.hidden = false;
pause.addEventListener("click", () => {
  const isPressed = pause.getAttribute("aria-pressed") === "true";
  pause.setAttribute("aria-pressed", String(!isPressed));
  if (isPressed) poll();
  else clearTimeout(timer);
});

// The seconds that are left go down in between.
setInterval(() => {
  const left = live.querySelector("[data-left]");
  if (!left || isPaused()) return;
  const seconds = Math.max(0, left.dataset.left - 0.1);
  left.dataset.left = seconds;
  left.firstChild.data = `${seconds.toFixed(1)} s`;
  live.querySelector(".bar i").style.width = `${Math.min(100, (seconds / 5) * 100)}%`;
}, 100);
next();
