// What is read aloud, and the numbers of a running infusion, which refresh by themselves. Every page works without it.
//
// - What was just saved is read aloud by a screen reader, and a warning that comes with a refresh, once.
// - Numbers that could not be refreshed say so, and since when.
"use strict";

(() => {
  const { isThere, visit } = window.chairside;
  const REFRESH_MS = 30000;
  const RETRY_MS = 4000;
  const ANNOUNCE_AFTER_MS = 200;
  const WHY_STALE = {
    away: "no connection.",
    broken: "the server did not show the page.",
    out: "you are signed out. Sign in in another tab; what you typed stays.",
    another: "somebody else has signed in. Sign in again as yourself in another tab; what you typed stays.",
  };

  // Screen readers pass over words that come with the page in a status; they read those that enter it later.
  function announce(status) {
    const words = [...status.childNodes];
    if (!status.textContent.trim()) return;
    status.style.minHeight = `${status.getBoundingClientRect().height}px`;
    status.replaceChildren();
    setTimeout(() => status.replaceChildren(...words), ANNOUNCE_AFTER_MS);
  }

  // A form that was sent ahead and then once more says its word once.
  function sayOnce() {
    const seen = new Set();
    for (const note of document.querySelectorAll("main > [role='status'].note, main > [role='status'] > .note")) {
      if (seen.has(note.textContent)) note.remove();
      seen.add(note.textContent);
    }
  }

  const warningsIn = (live) =>
    [...live.querySelectorAll(".note, [data-warns]")].map((note) => note.textContent.replace(/\s+/g, " ").trim());

  function watch(live) {
    const address = live.dataset.refresh || location.href;
    // Outside of what is replaced, and there before there is anything to say.
    const reader = document.createElement("div");
    reader.className = "visually-hidden";
    reader.setAttribute("role", "status");
    reader.dataset.reader = "";
    document.body.append(reader);
    let stale = "";
    let isRefreshing = false;
    let soon = 0;

    function say(words) {
      reader.textContent = words;
    }

    function showStale(state) {
      if (state === stale) return;
      stale = state;
      const asOf = live.querySelector("[data-as-of]");
      asOf.classList.add("is-stale");
      asOf.textContent = `Not refreshed since ${asOf.dataset.asOf}: ${WHY_STALE[state]}`;
      say(asOf.textContent);
    }

    // Only what differs is replaced: what is open stays open, and a finger or a reader on it is not disturbed.
    function replace(fresh) {
      const known = warningsIn(live);
      const [before, after] = [[...live.children], [...fresh.children]];
      const open = live.querySelector("details")?.open ?? false;
      fresh.querySelectorAll("details").forEach((details) => (details.open = open));
      const hadFocus = live.contains(document.activeElement);
      if (before.length !== after.length) live.replaceChildren(...after);
      else before.forEach((part, number) => part.isEqualNode(after[number]) || part.replaceWith(after[number]));
      if (hadFocus && !live.contains(document.activeElement)) live.querySelector("summary")?.focus();
      const said = warningsIn(live).filter((words) => !known.includes(words));
      if (said.length) say(said.join(" "));
      else if (stale) say("");
      stale = "";
    }

    async function refresh() {
      if (document.hidden || isRefreshing) return;
      isRefreshing = true;
      await look();
      isRefreshing = false;
      clearTimeout(soon);
      if (stale) soon = setTimeout(refresh, RETRY_MS);
    }

    async function look() {
      // What was recorded of a form that waited is said on the next page, and not used up here.
      if (document.querySelector("form[data-waiting]")) {
        if (!(await isThere())) showStale("away");
      } else {
        const { state, page } = await visit(address);
        const fresh = page?.getElementById(live.id);
        if (fresh) replace(fresh);
        else showStale(state === "in" ? "broken" : state);
      }
    }

    setInterval(refresh, REFRESH_MS);
    // A tablet that wakes up, and one whose connection comes or goes, does not wait for the next turn.
    document.addEventListener("visibilitychange", refresh);
    addEventListener("online", refresh);
    addEventListener("offline", refresh);
  }

  sayOnce();
  document.querySelectorAll("main > [role='status'], [data-unsaved]").forEach(announce);
  document.querySelectorAll("[data-refresh]").forEach(watch);
})();
