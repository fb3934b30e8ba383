// Warns before the session ends, and keeps it going while somebody types. What was typed is kept by drafts.js.
(() => {
  "use strict";
  const WARN_BEFORE_S = 120;
  // While somebody is at it, the server hears of it no more often.
  const TOLD_EVERY_MS = 60_000;
  const ADDRESS = "/account/stay/";
  const { idle, shift } = document.body.dataset;
  if (!idle) return;

  const now = () => Date.now() / 1000;
  const ends = { idle: 0, shift: 0 };
  let toldAt = Date.now();
  let timer = 0;
  let note = null;

  function take(left) {
    ends.idle = now() + Number(left.idle);
    ends.shift = now() + Number(left.shift);
    const soonest = Math.min(ends.idle, ends.shift) - now();
    clearTimeout(timer);
    const isSoon = soonest <= WARN_BEFORE_S;
    if (!isSoon) note?.remove();
    const wait = !isSoon ? soonest - WARN_BEFORE_S : note?.isConnected ? soonest : 0;
    timer = setTimeout(look, Math.max(1, wait) * 1000);
  }

  /** What the server says is left; nothing while it is away or this person is signed out. */
  const ask = (options = {}) =>
    window.chairside.ask(ADDRESS, { redirect: "manual", ...options }, (answer) => (answer.ok ? answer.json() : null));

  async function stay() {
    toldAt = Date.now();
    const token = document.querySelector("[name='csrfmiddlewaretoken']")?.value ?? "";
    const left = await ask({ method: "POST", headers: { "X-CSRFToken": token } });
    if (left) take(left);
  }

  async function look() {
    // Another window may have gone on.
    const left = await ask();
    if (left && Math.min(left.idle, left.shift) > 0) {
      if (Math.min(left.idle, left.shift) <= WARN_BEFORE_S) warn(left);
      take(left);
    } else if (await window.chairside.isThere()) {
      // Whoever finds the tablet sees the sign-in, and no patient.
      // Not by a reload, which would send a form again that this page is the answer to.
      location.replace(location.pathname + location.search);
    } else {
      timer = setTimeout(look, 30_000);
    }
  }

  function warn(left) {
    if (note?.isConnected) return;
    note = document.createElement("div");
    note.className = "note note-warning session-end";
    note.setAttribute("role", "alert");
    const words = document.createElement("p");
    const minutes = Math.max(1, Math.round(Math.min(left.idle, left.shift) / 60));
    const within = `${minutes} minute${minutes === 1 ? "" : "s"}`;
    words.textContent =
      left.idle < left.shift
        ? `Nothing was done here for a while: you are signed out in ${within}. What you typed is kept on this device.`
        : `Your session ends in ${within}, twelve hours after you signed in. What you typed is kept on this device.`;
    note.append(words);
    if (left.idle < left.shift) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "btn btn-primary";
      button.textContent = "Stay signed in";
      button.addEventListener("click", stay);
      note.append(button);
    }
    document.body.append(note);
  }

  for (const doing of ["input", "pointerdown", "keydown"]) {
    document.addEventListener(
      doing,
      () => {
        if (Date.now() - toldAt > TOLD_EVERY_MS) stay();
      },
      { passive: true }
    );
  }
  // A tablet that slept.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && Math.min(ends.idle, ends.shift) - now() < WARN_BEFORE_S) look();
  });
  take({ idle, shift });
})();
