// How forms of staff leave. Every page works without it, and in a browser that lacks a part, forms go out as HTML does.
//
// - A form is sent once, however often its button is tapped.
// - Without a connection nothing is lost: the form waits, and goes out when the connection is back, with the time of the
//   tap and the same submission id, so that it counts once. So it does when somebody was signed out meanwhile.
// - Of several that wait, emergencies go first, and one that is refused holds nothing up.
"use strict";

(() => {
  const { isThere, visit, send, drafts } = window.chairside;
  if (!drafts) return;
  const RETRY_MS = 4000;
  // Any page of staff: it tells who is signed in.
  const ANY_PAGE = "/grades/";
  const CAN_WAIT =
    "inert" in HTMLElement.prototype &&
    "requestSubmit" in HTMLFormElement.prototype &&
    typeof SubmitEvent === "function" &&
    "submitter" in SubmitEvent.prototype;

  const NO_CONNECTION = "No connection. Nothing is lost: this is sent by itself when the connection is back.";
  const SIGN_IN = {
    out: "You are signed out: sign in in another tab. Nothing is lost: this is sent by itself then.",
    another: "Somebody else has signed in: sign in again as yourself in another tab. This is sent by itself then.",
  };

  // What waits, in the order of the taps. Each gets its outcome, "stored" or "refused".
  const waiting = [];
  let isSending = false;

  const isUrgent = ({ form }) => "urgent" in form.dataset;
  const unsent = () => waiting.filter((one) => !one.outcome);
  const urgentOrFirst = (entries) => entries.find(isUrgent) ?? entries[0];
  const pause = () => new Promise((wake) => setTimeout(wake, RETRY_MS));
  const tellAll = (words) => unsent().forEach(({ form }) => drafts.tell(form, words));

  // The last one needs no sending ahead: its page is the next one, whatever the answer.
  const leadsBySelf = (entry) =>
    !waiting.some(isUrgent) && waiting.every((one) => one === entry || one.outcome === "stored");

  async function untilThere() {
    while (!(await isThere())) {
      tellAll(NO_CONNECTION);
      await pause();
    }
  }

  async function untilSignedIn(entry) {
    for (;;) {
      const { state } = await visit(ANY_PAGE);
      if (state === "in") break;
      tellAll(SIGN_IN[state] ?? NO_CONNECTION);
      await pause();
    }
    // Signed in, and the form is turned away once more: that is an answer.
    if (entry.wasSignedIn) entry.outcome = "refused";
    entry.wasSignedIn = true;
  }

  async function sendAhead(entry) {
    const outcome = await send(entry.form, entry.submitter);
    if (outcome === "out") await untilSignedIn(entry);
    else if (outcome === "away") {
      tellAll(NO_CONNECTION);
      await pause();
      await untilThere();
    } else entry.outcome = outcome;
    if (entry.outcome === "stored" && !isUrgent(entry)) drafts.forget(entry.form);
  }

  async function sendWhatWaits() {
    if (isSending) return;
    isSending = true;
    await untilThere();
    let next = urgentOrFirst(unsent());
    while (next && !leadsBySelf(next)) {
      await sendAhead(next);
      next = urgentOrFirst(unsent());
    }
    isSending = false;
    goTo(next ?? urgentOrFirst(waiting.filter((one) => one.outcome === "refused")) ?? urgentOrFirst(waiting));
  }

  // The page of a form is reached by sending it, once more if need be: it counts once by its submission id.
  function goTo(entry) {
    for (const one of waiting) {
      if (one.outcome === "stored" && isUrgent(one)) (one === entry ? drafts.forget : drafts.sayStored)(one.form);
    }
    entry.form.dataset.leaves = entry.outcome === "stored" ? "stored" : "unsent";
    entry.form.inert = false;
    entry.form.requestSubmit(entry.submitter);
  }

  // Without a script to watch over it: the draft stays until the next page knows more.
  function goOutAsHtml(form, submitter) {
    drafts.press(form, submitter);
    drafts.markSent(form, submitter);
  }

  function onSubmit(event) {
    const { target: form, submitter } = event;
    if (form.dataset.leaves) {
      if (form.dataset.leaves === "unsent") drafts.markSent(form, submitter);
      return;
    }
    if (!CAN_WAIT) {
      goOutAsHtml(form, submitter);
      return;
    }
    event.preventDefault();
    if (form.dataset.waiting) {
      drafts.pressAlso(form, submitter);
      return;
    }
    form.dataset.waiting = "yes";
    drafts.press(form, submitter);
    // What waits is what was tapped: it is not edited any more.
    form.inert = true;
    waiting.push({ form, submitter });
    sendWhatWaits();
  }

  const forms = document.querySelectorAll("form[data-keep]");
  forms.forEach((form) => form.addEventListener("submit", onSubmit));
  // A page that the browser kept for its back button may hold a form that was sent already.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    waiting.length = 0;
    forms.forEach((form) => {
      delete form.dataset.waiting;
      delete form.dataset.leaves;
      form.inert = false;
      drafts.release(form);
    });
  });
})();
