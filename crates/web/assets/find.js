// Suggests packages while a name is typed, with the keyboard or the mouse. The search works without it.
"use strict";
(() => {
  const input = document.getElementById("q");
  const address = input?.form.dataset.suggest;
  if (!address) return;
  const list = document.createElement("ul");
  list.id = "found";
  list.className = "found";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Packages");
  input.form.append(list);
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", "found"],
    ["aria-expanded", "false"], ["autocomplete", "off"]]) input.setAttribute(name, value);
  let chosen = -1;
  let asked = 0;
  let timer = 0;

  const choose = (index) => {
    const options = list.children;
    chosen = index;
    [...options].forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    if (index >= 0) {
      input.setAttribute("aria-activedescendant", options[index].id);
      options[index].scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  };

  const show = (packages) => {
    list.replaceChildren(...packages.map((one, index) => {
      const option = document.createElement("li");
      option.id = `found-${index}`;
      option.setAttribute("role", "option");
      option.textContent = one.name;
      option.dataset.href = one.href;
      // Before the field loses the focus.
      option.addEventListener("mousedown", (event) => { event.preventDefault(); location.href = one.href; });
      return option;
    }));
    list.hidden = packages.length === 0;
    input.setAttribute("aria-expanded", String(packages.length > 0));
    choose(-1);
  };

  const ask = async () => {
    const turn = ++asked;
    const text = input.value.trim();
    if (text.length < 2) return show([]);
    try {
      const query = new URLSearchParams({ q: text });
      const collection = input.form.elements.namedItem("collection");
      if (collection) query.set("collection", collection.value);
      const answer = await fetch(`${address}?${query}`, { credentials: "same-origin" });
      // A later question may have been answered before.
      if (turn === asked && answer.ok) show(await answer.json());
    } catch {
      show([]);
    }
  };

  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
  input.addEventListener("blur", () => { asked++; show([]); });
  input.addEventListener("keydown", (event) => {
    const count = list.children.length;
    if (list.hidden || !count) return;
    if (event.key === "ArrowDown") choose((chosen + 1) % count);
    else if (event.key === "ArrowUp") choose(chosen > 0 ? chosen - 1 : count - 1);
    else if (event.key === "Escape") show([]);
    else if (event.key === "Enter" && chosen >= 0) location.href = list.children[chosen].dataset.href;
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
})();
