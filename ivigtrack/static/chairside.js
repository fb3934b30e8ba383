// What a script adds to the chairside pages. Every page works without it.
//
// - A form is sent once, however often its button is tapped.
// - Without a connection nothing typed is lost: the form waits, and goes out when the connection is back, with the time
//   of the tap and the same submission id, so that it counts once.
// - What is being typed is kept in the tab until the server has it, and is there again after a reload. Signing out, and
//   somebody else signing in, forgets it.
// - The numbers of a running infusion refresh by themselves.
// - What was just saved is read aloud by a screen reader.
// - Of the blank rows that a form has to spare one is shown; its button shows the next one at once.
// - A scanner's group separator, which browsers swallow, reaches the field.
"use strict";

(() => {
  const KEPT = "ivigtrack-typed:";
  // Each person's own: on a shared tablet nobody finds what somebody else was typing.
  const PREFIX = `${KEPT}${document.body.dataset.user}:`;
  const SENT = ":sent";
  const RETRY_MS = 4000;
  const REFRESH_MS = 30000;
  const ANSWER_WITHIN_MS = 4000;
  const ANNOUNCE_AFTER_MS = 200;
  const NEVER_KEPT = new Set(["password", "file", "submit", "button"]);

  const keyOf = (form) => PREFIX + new URL(form.getAttribute("action") || "", location.href).pathname;
  const tappedField = (form) => form.querySelector("input[name$='tapped_at']");
  const idOf = (form) => form.querySelector("input[name$='submission_id']")?.value ?? "";

  const fieldsOf = (form) =>
    [...form.elements].filter(
      (field) =>
        field.name &&
        !NEVER_KEPT.has(field.type) &&
        field.name !== "csrfmiddlewaretoken" &&
        !field.name.endsWith("tapped_at"),
    );

  function remember(form) {
    const typed = fieldsOf(form).map((field) => [field.name, field.type, field.value, Boolean(field.checked)]);
    sessionStorage.setItem(keyOf(form), JSON.stringify(typed));
  }

  function forget(isToGo) {
    Object.keys(sessionStorage)
      .filter((key) => key.startsWith(KEPT) && isToGo(key))
      .forEach((key) => sessionStorage.removeItem(key));
  }

  function bringBack(form) {
    const kept = sessionStorage.getItem(keyOf(form));
    if (!kept || form.querySelector(".is-invalid")) return;
    let differs = false;
    for (const [name, type, value, checked] of JSON.parse(kept)) {
      const found = fieldsOf(form).filter((field) => field.name === name);
      const isTicked = ["checkbox", "radio"].includes(type);
      const field = found.find((one) => !isTicked || one.value === value);
      if (!field) continue;
      if (isTicked) {
        differs ||= field.checked !== checked;
        field.checked = checked;
      } else {
        differs ||= field.type !== "hidden" && field.value !== value;
        field.value = value;
      }
    }
    if (differs) tell(form, "What you typed before is here again. It is not saved yet.", "note-amber");
  }

  // A form that left is forgotten when the server says that it has its record; otherwise it comes back.
  async function settle(form) {
    const key = keyOf(form);
    const sent = sessionStorage.getItem(key + SENT);
    if (sent === null) {
      bringBack(form);
      return;
    }
    sessionStorage.removeItem(key + SENT);
    if (sent && !(await wasSaved(sent))) bringBack(form);
    else sessionStorage.removeItem(key);
  }

  async function wasSaved(id) {
    try {
      return (await fetch(`/saved/${id}/`, { cache: "no-store" })).ok;
    } catch {
      return false;
    }
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

  // What waits for a connection, in the order of the taps.
  const waiting = [];
  let isSending = false;

  async function sendWhatWaits() {
    if (isSending) return;
    isSending = true;
    while (!(await isThere())) {
      waiting.forEach(({ form }) =>
        tell(form, "No connection. Nothing is lost: this is sent by itself when the connection is back.", "note-amber"),
      );
      await new Promise((wake) => setTimeout(wake, RETRY_MS));
    }
    // All but the last go by themselves; the last one leads to the next page, as does one that is refused.
    while (waiting.length > 1 && (await wentThrough(waiting[0]))) waiting.shift();
    isSending = false;
    const { form, submitter } = waiting[0];
    form.dataset.cleared = "yes";
    form.inert = false;
    form.requestSubmit(submitter);
  }

  async function wentThrough({ form, submitter }) {
    try {
      const answer = await fetch(submitter?.getAttribute("formaction") || form.getAttribute("action") || location.href, {
        method: "POST",
        body: new URLSearchParams(new FormData(form, submitter)),
        redirect: "manual",
      });
      if (answer.type !== "opaqueredirect") return false;
      sessionStorage.setItem(keyOf(form) + SENT, idOf(form));
      return true;
    } catch {
      return false;
    }
  }

  // A second time that is tapped while the first one waits goes along with it.
  function alsoTapped(form, submitter) {
    if (submitter?.name !== "name" || submitter.value === form.dataset.waiting) return;
    if (form.querySelector(`input[name='also_tapped'][value^='${submitter.value}@']`)) return;
    const more = document.createElement("input");
    Object.assign(more, { type: "hidden", name: "also_tapped", value: `${submitter.value}@${new Date().toISOString()}` });
    form.append(more);
  }

  function onSubmit(event) {
    const form = event.target;
    if (form.dataset.cleared) {
      sessionStorage.setItem(keyOf(form) + SENT, idOf(form));
      return;
    }
    event.preventDefault();
    if (form.dataset.waiting) {
      alsoTapped(form, event.submitter);
      return;
    }
    form.dataset.waiting = event.submitter?.value || "yes";
    const tapped = tappedField(form);
    if (tapped) tapped.value = new Date().toISOString();
    remember(form);
    // What waits is what was tapped: it is not edited any more.
    form.inert = true;
    waiting.push({ form, submitter: event.submitter });
    sendWhatWaits();
  }

  function letGroupSeparatorIn(event) {
    if (!event.target.name?.endsWith("scan")) return;
    if ((event.ctrlKey && event.key === "]") || event.key === "\u001d" || event.key === "F8") {
      event.preventDefault();
      event.target.setRangeText("\u001d", event.target.selectionStart, event.target.selectionEnd, "end");
    }
  }

  const isBlank = (row) =>
    !row.classList.contains("has-error") &&
    [...row.querySelectorAll("input:not([type=hidden]), select, textarea")].every((field) =>
      field.type === "checkbox" ? !field.checked : !field.value,
    );

  // One blank row of each set is enough to begin with. What is filled in, or came back wrong, is never hidden.
  function foldRows(form) {
    const seen = new Set();
    for (const row of form.querySelectorAll("[data-row]")) {
      const blank = isBlank(row);
      row.hidden = blank && seen.has(row.dataset.row);
      if (blank) seen.add(row.dataset.row);
    }
  }

  // The next row is there already while one is hidden; after that the server gives one more.
  function showNextRow(event) {
    const button = event.target.closest("button[name='add_row']");
    const next = button?.form.querySelector(`[data-row='${button.value}'][hidden]`);
    if (!next) return;
    event.preventDefault();
    next.hidden = false;
    next.querySelector("input:not([type=hidden]), select, textarea")?.focus();
  }

  async function refresh() {
    const live = document.querySelector("[data-refresh]");
    // What was recorded of a form that waited is said on the next page, and not used up here.
    if (!live || document.hidden || waiting.length) return;
    try {
      const answer = await fetch(live.dataset.refresh || location.href, { cache: "no-store" });
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(live.id);
      if (fresh && !live.contains(document.activeElement)) live.replaceChildren(...fresh.childNodes);
    } catch {
      // The next refresh tries again; what is on the page keeps its time.
    }
  }

  // Screen readers pass over words that come with the page in a status; they read those that enter it later.
  function announce(status) {
    const words = [...status.childNodes];
    status.style.minHeight = `${status.offsetHeight}px`;
    status.replaceChildren();
    setTimeout(() => status.replaceChildren(...words), ANNOUNCE_AFTER_MS);
  }

  if (document.body.dataset.user) forget((key) => !key.startsWith(PREFIX));
  document
    .querySelectorAll("form[action$='sign-out/']")
    .forEach((form) => form.addEventListener("submit", () => forget(() => true)));
  for (const form of document.querySelectorAll("form[data-keep]")) {
    foldRows(form);
    settle(form).then(() => foldRows(form));
    form.addEventListener("click", showNextRow);
    form.addEventListener("input", () => remember(form));
    form.addEventListener("submit", onSubmit);
  }
  document.querySelectorAll("main > [role='status']").forEach(announce);
  document.addEventListener("keydown", letGroupSeparatorIn);
  // A page that the browser kept for its back button may hold a form that was sent already.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.querySelectorAll("form[data-keep]").forEach((form) => {
      delete form.dataset.waiting;
      delete form.dataset.cleared;
      form.inert = false;
    });
  });
  setInterval(refresh, REFRESH_MS);
})();
