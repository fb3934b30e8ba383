// What a script adds to the chairside pages. Every page works without it.
//
// - A form is sent once, however often its button is tapped.
// - Without a connection nothing typed is lost: the form waits, and goes out when the connection is back, with the time
//   of the tap and the same submission id, so that it counts once.
// - What is being typed is kept in the tab, and is there again after a reload. Signing in or out forgets it.
// - The numbers of a running infusion refresh by themselves.
// - A scanner's group separator, which browsers swallow, reaches the field.
"use strict";

(() => {
  const PREFIX = "ivigtrack-typed:";
  const RETRY_MS = 4000;
  const REFRESH_MS = 30000;
  const ANSWER_WITHIN_MS = 4000;
  const NEVER_KEPT = new Set(["password", "file", "submit", "button"]);

  const keyOf = (form) => PREFIX + new URL(form.action, location.href).pathname;

  const fieldsOf = (form) =>
    [...form.elements].filter((field) => field.name && !NEVER_KEPT.has(field.type) && field.name !== "csrfmiddlewaretoken");

  function remember(form) {
    const typed = fieldsOf(form).map((field) => [field.name, field.type, field.value, Boolean(field.checked)]);
    sessionStorage.setItem(keyOf(form), JSON.stringify(typed));
  }

  function forgetAll() {
    Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX)).forEach((key) => sessionStorage.removeItem(key));
  }

  function bringBack(form) {
    const kept = sessionStorage.getItem(keyOf(form));
    if (!kept || form.querySelector(".is-invalid")) return;
    let differs = false;
    for (const [name, type, value, checked] of JSON.parse(kept)) {
      const found = fieldsOf(form).filter((field) => field.name === name);
      const field = found.find((one) => !["radio"].includes(type) || one.value === value);
      if (!field) continue;
      if (["checkbox", "radio"].includes(type)) {
        differs ||= field.checked !== checked;
        field.checked = checked;
      } else {
        differs ||= field.type !== "hidden" && field.value !== value;
        field.value = value;
      }
    }
    if (differs) tell(form, "What you typed before is here again. It is not saved yet.", "note-amber");
  }

  function tell(form, words, kind) {
    let note = form.querySelector("[data-said]");
    if (!note) {
      note = document.createElement("p");
      note.dataset.said = "";
      note.setAttribute("role", "status");
      form.append(note);
    }
    note.className = `note ${kind} mt-3 mb-0`;
    note.textContent = words;
  }

  async function isThere() {
    try {
      const answer = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      return answer.ok;
    } catch {
      return false;
    }
  }

  function stamp(form) {
    const tapped = form.querySelector("input[name$='tapped_at']");
    if (tapped && !tapped.value) tapped.value = new Date().toISOString();
  }

  function sendWhenPossible(form, submitter) {
    const attempt = async () => {
      if (await isThere()) {
        form.dataset.cleared = "yes";
        form.requestSubmit(submitter);
        return;
      }
      tell(form, "No connection. Nothing is lost: this is sent by itself when the connection is back.", "note-amber");
      setTimeout(attempt, RETRY_MS);
    };
    attempt();
  }

  function onSubmit(event) {
    const form = event.target;
    if (form.dataset.cleared) {
      sessionStorage.removeItem(keyOf(form));
      return;
    }
    event.preventDefault();
    if (form.dataset.waiting) return;
    form.dataset.waiting = "yes";
    stamp(form);
    remember(form);
    sendWhenPossible(form, event.submitter);
  }

  function letGroupSeparatorIn(event) {
    if (!event.target.name?.endsWith("scan")) return;
    if ((event.ctrlKey && event.key === "]") || event.key === "\u001d" || event.key === "F8") {
      event.preventDefault();
      event.target.setRangeText("\u001d", event.target.selectionStart, event.target.selectionEnd, "end");
    }
  }

  async function refresh() {
    const live = document.querySelector("[data-refresh]");
    if (!live || document.hidden) return;
    try {
      const answer = await fetch(live.dataset.refresh || location.href, { cache: "no-store" });
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(live.id);
      if (fresh && !live.contains(document.activeElement)) live.replaceChildren(...fresh.childNodes);
    } catch {
      // The next refresh tries again; what is on the page keeps its time.
    }
  }

  if (document.querySelector("input[type=password]")) forgetAll();
  document.querySelectorAll("form[action$='sign-out/']").forEach((form) => form.addEventListener("submit", forgetAll));
  for (const form of document.querySelectorAll("form[data-keep]")) {
    bringBack(form);
    form.addEventListener("input", () => remember(form));
    form.addEventListener("submit", onSubmit);
  }
  document.addEventListener("keydown", letGroupSeparatorIn);
  // A page that the browser kept for its back button may hold a form that was sent already.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.querySelectorAll("form[data-keep]").forEach((form) => {
      delete form.dataset.waiting;
      delete form.dataset.cleared;
    });
  });
  setInterval(refresh, REFRESH_MS);
})();
