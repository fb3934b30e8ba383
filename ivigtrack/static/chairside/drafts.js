// What is typed or tapped in a form of staff is kept in the tab until the server has it. Every page works without it.
//
// - It is there again after a reload. Signing out, and somebody else signing in, forgets it.
// - A tap that did not arrive comes back with its time and its button, and every page names it until it is saved.
"use strict";

window.chairside.drafts = (() => {
  const { user, idOf, wasSaved, clock } = window.chairside;
  const KEPT = "ivigtrack-typed:";
  // Each person's own: on a shared tablet nobody finds what somebody else was typing.
  const PREFIX = `${KEPT}${user}:`;
  const SENT = ":sent";
  const NEVER_KEPT = new Set(["password", "file", "submit", "button"]);
  // The server takes no older time of a tap for true.
  const TAP_COUNTS_MS = 12 * 60 * 60 * 1000;
  const JUST_NOW_MS = 60 * 1000;
  // The buttons of this name each record a moment: several may wait beside each other.
  const MOMENT = "name";
  // What these buttons ask for is another look at the form, and nothing to save.
  const ONLY_LOOKS = new Set(["add_row", "show"]);

  // The taps of each form that the server does not have: the button's name, value and words, and when.
  const taps = new WeakMap();
  const notes = new WeakMap();

  const forms = [...document.querySelectorAll("form[data-keep]")];

  const keyOf = (form) => PREFIX + new URL(form.getAttribute("action") || "", location.href).pathname;
  const tappedField = (form) => form.querySelector("input[name$='tapped_at']");
  const keptKeys = () => Object.keys(sessionStorage).filter((key) => key.startsWith(KEPT));
  const draftAt = (key) => JSON.parse(sessionStorage.getItem(key));
  const isUnsaved = (draft) => Boolean(draft?.taps?.length);

  // The tab's storage may be full or shut: then nothing is kept, and the form goes out all the same.
  function keep(key, value) {
    try {
      sessionStorage.removeItem(key);
      sessionStorage.setItem(key, value);
    } catch {}
  }

  // What the page brings along itself: never that of an earlier page.
  const OF_THE_PAGE = /^(csrfmiddlewaretoken|also_tapped|tap_id)$|tapped_at$|_FORMS$/;

  const fieldsOf = (form) =>
    [...form.elements].filter(
      (field) => field.name && !NEVER_KEPT.has(field.type) && !OF_THE_PAGE.test(field.name),
    );

  function remember(form) {
    const fields = fieldsOf(form).map((field) => [field.name, field.type, field.value, Boolean(field.checked)]);
    const draft = { id: idOf(form), page: location.pathname, fields, taps: taps.get(form) ?? [] };
    keep(keyOf(form), JSON.stringify(draft));
  }

  const forget = (form) => sessionStorage.removeItem(keyOf(form));

  // The next page asks whether the server has it.
  function markSent(form, submitter) {
    const address = submitter?.getAttribute("formaction") || form.getAttribute("action") || "";
    keep(keyOf(form) + SENT, JSON.stringify({ id: idOf(form), path: new URL(address, location.href).pathname }));
  }

  // The path of the form that was saved last, as the answer that led here says; said once.
  function savedPath() {
    const [, name, path] = /(?:^|; )((?:__Host-)?ivigtrack-saved)="?([^";]*)/.exec(document.cookie) ?? [];
    if (name) {
      document.cookie = `${name}=; max-age=0; path=/${name.startsWith("__") ? "; secure" : ""}`;
    }
    return path;
  }

  function wordsOf(form, submitter) {
    if (submitter && !submitter.hasAttribute("aria-hidden")) return submitter.firstChild.textContent.trim();
    return (form.closest("section") ?? document).querySelector("h2, h1")?.textContent.trim() ?? "A form";
  }

  // The time of a tap is when it was first tapped. Another button is another deed, but moments go along.
  function press(form, submitter) {
    const known = taps.get(form) ?? [];
    const [name, value] = [submitter?.name ?? "", submitter?.value ?? ""];
    if (ONLY_LOOKS.has(name)) {
      remember(form);
      return;
    }
    const tap = known.find((one) => one.name === name && one.value === value) ?? {
      name,
      value,
      words: wordsOf(form, submitter),
      at: new Date().toISOString(),
    };
    const others = name === MOMENT ? known.filter((one) => one !== tap && one.name === MOMENT) : [];
    setTaps(form, [tap, ...others]);
  }

  // A second moment that is tapped while the first one waits goes along with it.
  function pressAlso(form, submitter) {
    const known = taps.get(form) ?? [];
    if (submitter?.name !== MOMENT || known.some((one) => one.value === submitter.value)) return;
    const { name, value } = submitter;
    setTaps(form, [...known, { name, value, words: wordsOf(form, submitter), at: new Date().toISOString() }]);
  }

  function setTaps(form, pressed) {
    taps.set(form, pressed);
    const field = tappedField(form);
    if (field) field.value = pressed[0].at;
    form.querySelectorAll("input[name='also_tapped']").forEach((one) => one.remove());
    for (const { value, at } of pressed.slice(1)) {
      const more = document.createElement("input");
      Object.assign(more, { type: "hidden", name: "also_tapped", value: `${value}@${at}` });
      form.append(more);
    }
    remember(form);
  }

  // Beside the form: what is within it is neither read aloud nor tapped while it waits.
  function tell(form, words) {
    let note = notes.get(form);
    if (!note) {
      note = document.createElement("p");
      note.className = "note note-amber mt-3 mb-0";
      note.setAttribute("role", "status");
      form.after(note);
      notes.set(form, note);
    }
    note.textContent = words;
  }

  const named = (pressed) => pressed.map(({ words, at }) => `“${words}”, tapped at ${clock(at)}`).join("; ");

  // Rows that were added to the earlier page, and are not there on this one: each is a copy of the last.
  function addRows(form, fields) {
    for (const [name, type, value] of fields) {
      const [, set, number] = /^(\w+)-(\d+)-\w+$/.exec(name) ?? [];
      const count = form.elements[`${set}-TOTAL_FORMS`];
      if (!count || !value || type === "hidden" || form.elements[name]) continue;
      while (Number(count.value) <= Number(number)) {
        const last = [...form.querySelectorAll(`[data-row='${set}']`)].at(-1);
        if (!last) return;
        const row = last.cloneNode(true);
        for (const part of [row, ...row.querySelectorAll("*")]) {
          for (const attribute of ["name", "id", "for", "aria-describedby"]) {
            const told = part.getAttribute(attribute);
            if (told) part.setAttribute(attribute, told.replace(/-\d+-/, `-${count.value}-`));
          }
        }
        for (const field of row.querySelectorAll("input, select, textarea")) {
          if (field.type === "checkbox") field.checked = false;
          else field.value = "";
        }
        last.removeAttribute("id");
        last.after(row);
        count.value = Number(count.value) + 1;
      }
    }
  }

  // Whether what was typed differs from what the page shows by itself.
  function fillIn(form, fields) {
    let differs = false;
    addRows(form, fields);
    for (const [name, type, value, checked] of fields) {
      const isTicked = ["checkbox", "radio"].includes(type);
      const field = fieldsOf(form).find((one) => one.name === name && (!isTicked || one.value === value));
      if (!field) continue;
      if (isTicked) {
        differs ||= field.checked !== checked;
        field.checked = checked;
      } else {
        differs ||= field.type !== "hidden" && field.value !== value;
        field.value = value;
      }
    }
    return differs;
  }

  function bringBack(form, returned) {
    const draft = draftAt(keyOf(form)) ?? { fields: null, taps: [] };
    // The server gave the form back filled in, with its own words and what it has stored meanwhile.
    const isReturned = returned.has(keyOf(form));
    if ((!draft.fields && !isReturned) || draft.stored || form.dataset.waiting) return;
    const differs = !isReturned && fillIn(form, draft.fields);
    const now = Date.now();
    const isOlder = (limit) => ({ at }) => now - Date.parse(at) >= limit;
    // What is refused at once is tapped again at its own time.
    const pressed = isReturned && !draft.taps.some(isOlder(JUST_NOW_MS)) ? [] : draft.taps;
    taps.set(form, pressed);
    if (isReturned || isUnsaved(draft)) remember(form);
    if (pressed.length) {
      const keepsTime = tappedField(form) && !pressed.some(isOlder(TAP_COUNTS_MS));
      const how = keepsTime ? "Tap it again: it is saved with that time, unless you write another." : "Tap it again.";
      tell(form, `Not saved yet: ${named(pressed)}. ${how}`);
    } else if (differs) {
      tell(form, "What you typed before is here again. It is not saved yet.");
      addButton(notes.get(form), "Start afresh", () => {
        forget(form);
        location.reload();
      });
    }
    form.dispatchEvent(new Event("broughtback"));
  }

  // A form that left is forgotten when the server says that it has its record; otherwise it comes back. Gives the keys
  // of those that this page is the answer to.
  async function settle() {
    const said = savedPath();
    const sent = keptKeys().filter((key) => key.endsWith(SENT));
    const marks = sent.map(draftAt);
    const draftKeys = sent.map((key) => key.slice(0, -SENT.length));
    const left = draftKeys.map((key) => sessionStorage.getItem(key));
    sent.forEach((key) => sessionStorage.removeItem(key));
    const isAnswer = "answer" in document.body.dataset;
    const returned = draftKeys.filter((_, number) => isAnswer && marks[number].path === location.pathname);
    // The page to sign in took nothing of what was sent.
    if (!user) return new Set();
    // Where the answer got lost on the way, the server knows the id of what it made.
    const saved = await Promise.all(marks.map(({ id, path }) => path === said || (id && wasSaved(id))));
    draftKeys.forEach((key, number) => {
      // What is typed while the server is asked is another draft.
      if (saved[number] && sessionStorage.getItem(key) === left[number]) sessionStorage.removeItem(key);
    });
    return new Set(returned);
  }

  function addLine(list, words, address) {
    const line = document.createElement("li");
    const name = document.createElement(address ? "a" : "span");
    if (address) name.href = address;
    name.textContent = words;
    line.append(name);
    list.append(line);
    return line;
  }

  function addButton(place, words, onClick) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "btn btn-quiet ms-2", textContent: words });
    button.addEventListener("click", onClick);
    place.append(button);
  }

  function addDismissal(line, key, form) {
    addButton(line, "Do not save it", () => {
      if (form) {
        taps.delete(form);
        notes.get(form)?.remove();
        notes.delete(form);
      }
      keep(key, JSON.stringify({ ...draftAt(key), taps: [] }));
      const list = line.parentNode;
      line.remove();
      if (!list.children.length) list.remove();
    });
  }

  // Every page names what was tapped and is not saved, and leads there: its form may stand on another page.
  function nameUnsaved(status) {
    const list = document.createElement("ul");
    list.className = "note note-amber unsaved";
    for (const key of keptKeys().filter((one) => !one.endsWith(SENT))) {
      const draft = draftAt(key);
      if (!isUnsaved(draft)) continue;
      if (draft.stored) {
        addLine(list, `Saved: ${named(draft.taps)}. Tap it again to open its page.`);
        sessionStorage.removeItem(key);
        continue;
      }
      const form = forms.find((one) => keyOf(one) === key);
      if (form?.dataset.waiting) continue;
      const place = form?.closest("[id]").id;
      addDismissal(addLine(list, `Not saved yet: ${named(draft.taps)}.`, place ? `#${place}` : draft.page), key, form);
    }
    if (list.children.length) status.append(list);
  }

  // An emergency that was stored while another form was refused: the next page says so.
  function sayStored(form) {
    keep(keyOf(form), JSON.stringify({ ...draftAt(keyOf(form)), stored: true }));
  }

  const forgetAll = (isToGo) =>
    keptKeys()
      .filter(isToGo)
      .forEach((key) => sessionStorage.removeItem(key));

  async function start() {
    // There before there is anything to say: a screen reader reads what enters it.
    const [place, status] = [document.createElement("div"), document.createElement("div")];
    status.setAttribute("role", "status");
    status.dataset.unsaved = "";
    place.append(status);
    document.getElementById("content").prepend(place);
    const returned = await settle();
    if (!user && keptKeys().length) {
      status.className = "note note-amber";
      status.textContent = "What you typed or tapped is kept here, and is there again when you have signed in.";
    }
    if (!user) return;
    forms.forEach((form) => bringBack(form, returned));
    nameUnsaved(status);
  }

  // Where storage is shut altogether this ends here, and forms stay plain.
  if (user) forgetAll((key) => !key.startsWith(PREFIX));
  for (const form of forms) {
    form.addEventListener("input", () => remember(form));
    // What was saved does not come back with the browser's back button, as if it were to be saved again.
    form.autocomplete = "off";
  }
  document
    .querySelectorAll("form[action$='sign-out/']")
    .forEach((form) => form.addEventListener("submit", () => forgetAll(() => true)));
  start();

  return { press, pressAlso, forget, markSent, sayStored, tell, release: (form) => taps.delete(form) };
})();
