"use strict";
// Arrow keys move between faces; with none chosen, ← and → open the previous and the next page that offers itself.
// Everything works without this script: it only saves presses of Tab.
(() => {
  const cards = Array.from(document.querySelectorAll("[data-grid] a.card"));
  const middle = (card) => {
    const box = card.getBoundingClientRect();
    return { x: box.left + box.width / 2, y: box.top };
  };
  // The card above (-1) or below (1): of the nearest row in that direction the one nearest across.
  const vertical = (from, direction) => {
    const here = middle(from);
    const beyond = cards
      .map((card) => ({ card, at: middle(card) }))
      .filter(({ at }) => (at.y - here.y) * direction > 1);
    if (!beyond.length) return undefined;
    const row = Math.min(...beyond.map(({ at }) => Math.abs(at.y - here.y)));
    return beyond
      .filter(({ at }) => Math.abs(at.y - here.y) < row + 1)
      .reduce((best, next) => (Math.abs(next.at.x - here.x) < Math.abs(best.at.x - here.x) ? next : best)).card;
  };
  const target = (card, key) => {
    const index = cards.indexOf(card);
    if (key === "ArrowLeft") return cards[index - 1];
    if (key === "ArrowRight") return cards[index + 1];
    if (key === "ArrowUp") return vertical(card, -1);
    if (key === "ArrowDown") return vertical(card, 1);
    if (key === "Home") return cards[0];
    if (key === "End") return cards[cards.length - 1];
    return undefined;
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const active = document.activeElement;
    if (cards.includes(active)) {
      const next = target(active, event.key);
      if (next) {
        event.preventDefault();
        next.focus();
      }
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const link = document.querySelector(`a[data-key="${event.key}"]`);
      if (link) {
        event.preventDefault();
        link.click();
      }
    }
  });
  // Coming back from a person's page: continue where that person stands. The browser goes to the fragment, and so
  // takes the focus away, until the page has loaded.
  addEventListener("load", () => {
    const origin = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const card = origin && origin.querySelector("a.card");
    if (card) card.focus({ preventScroll: true });
  });
  document.documentElement.classList.add("keyboard");
})();
