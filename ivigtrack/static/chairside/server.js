// What the chairside asks of the server, and what the answers mean. The other scripts reach it as `chairside`.
"use strict";

window.chairside = (() => {
  const ANSWER_WITHIN_MS = 4000;
  const SEND_WITHIN_MS = 15000;
  // Somebody in between answers for a server that is away.
  const AWAY = new Set([502, 503, 504]);
  const NO_ID = "00000000-0000-0000-0000-000000000000";

  const user = document.body.dataset.user;
  const idOf = (form) => form.querySelector("input[name$='submission_id']")?.value ?? "";

  /** What `read` makes of the answer; null where none came in time. */
  async function ask(address, options, read = (answer) => answer, withinMs = ANSWER_WITHIN_MS) {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), withinMs);
    try {
      return await read(await fetch(address, { cache: "no-store", signal: limit.signal, ...options }));
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  const isThere = async () => Boolean((await ask("/healthz"))?.ok);

  const wasSaved = async (id) => (await ask(`/saved/${id}/`, { redirect: "manual" }))?.status === 204;

  /**
   * A page, and the person it was made for: "out" (nobody is signed in), "another" or "in". Without a page "away", or
   * "broken" where the server answers with something else.
   * Who signed in again in another tab has another token since then: the forms here get it.
   */
  async function visit(address) {
    const found = await ask(address, {}, async (answer) => ({
      isPage: answer.ok,
      isAway: AWAY.has(answer.status),
      page: new DOMParser().parseFromString(await answer.text(), "text/html"),
    }));
    if (!found || found.isAway) return { state: "away" };
    const { isPage, page } = found;
    const seen = page.body.dataset.user;
    if (!isPage || seen === undefined) return { state: "broken" };
    if (seen !== user) return { state: seen ? "another" : "out" };
    const token = page.querySelector("[name='csrfmiddlewaretoken']")?.value;
    if (token) document.querySelectorAll("[name='csrfmiddlewaretoken']").forEach((field) => (field.value = token));
    return { state: "in", page };
  }

  /** Send a form as its button would: "stored", "refused", "away" (to be tried again), or "out" (sign in first). */
  async function send(form, submitter) {
    const data = new FormData(form);
    // By hand: older browsers ignore the second argument of FormData, and with it the button that was tapped.
    if (submitter?.name) data.append(submitter.name, submitter.value);
    const address = submitter?.getAttribute("formaction") || form.getAttribute("action") || location.href;
    const options = { method: "POST", body: new URLSearchParams(data), redirect: "manual" };
    const answer = await ask(address, options, undefined, SEND_WITHIN_MS);
    if (!answer || AWAY.has(answer.status)) return "away";
    // A token of before somebody signed in again.
    if (answer.status === 403) return "out";
    if (answer.type !== "opaqueredirect") return "refused";
    // What was stored leads to the next page; who is signed out is led to the sign-in, now as then.
    const after = await ask(`/saved/${idOf(form) || NO_ID}/`, { redirect: "manual" });
    if (!after || AWAY.has(after.status)) return "away";
    return after.type === "opaqueredirect" ? "out" : "stored";
  }

  const format = new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    timeZone: document.body.dataset.zone || undefined,
  });

  /** A moment on the clinic's clock. */
  const clock = (moment) => format.format(new Date(moment));

  return { user, idOf, ask, isThere, wasSaved, visit, send, clock };
})();
