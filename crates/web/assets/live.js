// Keeps a page that is being watched up to date: fetches it again and swaps what changed. The page works without it.
"use strict";
(() => {
  const seconds = Number(document.documentElement.dataset.live);
  if (!seconds) return;
  let tag = null;

  // Readers who select, type or have a menu open are not disturbed.
  const busy = () => {
    const selection = getSelection();
    const active = document.activeElement;
    return document.hidden || (selection && !selection.isCollapsed) ||
      (active && /^(INPUT|TEXTAREA|SELECT)$/.test(active.tagName));
  };

  // A details element is the same one when it stands in the same place with the same summary.
  const key = (details) => details.dataset.key || details.querySelector("summary")?.textContent;

  const swap = (selector, next) => {
    const now = document.querySelector(selector);
    const then = next.querySelector(selector);
    if (!now || !then || now.innerHTML === then.innerHTML) return;
    const open = new Set([...now.querySelectorAll("details[open]")].map(key));
    const closed = new Set([...now.querySelectorAll("details:not([open])")].map(key));
    for (const details of then.querySelectorAll("details")) {
      if (open.has(key(details))) details.open = true;
      else if (closed.has(key(details))) details.open = false;
    }
    const focused = now.contains(document.activeElement) && document.activeElement.getAttribute("href");
    now.replaceChildren(...then.childNodes);
    if (focused) {
      for (const link of now.querySelectorAll("a[href]")) {
        if (link.getAttribute("href") === focused) {
          link.focus({ preventScroll: true });
          break;
        }
      }
    }
  };

  const refresh = async () => {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, {
        headers: tag ? { "If-None-Match": tag } : {},
        cache: "no-store",
        credentials: "same-origin",
      });
      if (answer.status === 304 || !answer.ok) return;
      tag = answer.headers.get("ETag");
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (busy()) return;
      document.title = next.title;
      swap("#context", next);
      swap("#main", next);
    } catch {
      // The server is away; the next turn asks again.
    }
  };

  setInterval(refresh, seconds * 1000);
  document.addEventListener("visibilitychange", refresh);
})();
