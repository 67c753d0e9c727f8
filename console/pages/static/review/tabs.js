// The page's tabs: arrow keys go from one to the next.

const tabs = () => [...document.querySelectorAll("[role=tab]")];
let onOpen = {};

export const chosen = () => tabs().find((tab) => tab.ariaSelected === "true").id.replace("tab-", "");

export function open(name) {
  if (chosen() === name) return;
  for (const tab of tabs()) {
    const isIt = tab.id === `tab-${name}`;
    tab.ariaSelected = String(isIt);
    tab.tabIndex = isIt ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !isIt;
  }
  onOpen[name]?.();
}

/** `opened`: what is called when a tab is opened, by its name. */
export function start(opened) {
  onOpen = opened;
  for (const tab of tabs()) {
    tab.addEventListener("click", () => open(tab.id.replace("tab-", "")));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const all = tabs();
      const to = all[(all.indexOf(tab) + step + all.length) % all.length];
      to.focus();
      open(to.id.replace("tab-", ""));
    });
  }
}
