// What the sandbox adds to SimCord's page.

// Options are asked for as soon as one is to be chosen, as Discord does: SimCord waits for a letter.
const OPTION = ".command-option-input[aria-autocomplete=list]";
/** @param {EventTarget | null} target */
const asksForOption = (target) => target instanceof HTMLInputElement && target.matches(OPTION);
document.addEventListener("focusin", ({ target }) => {
  if (asksForOption(target) && !target.value && !document.querySelector(".command-suggestion")) {
    target.dispatchEvent(new Event("input", { bubbles: true }));
  }
});
document.addEventListener("input", ({ target }) => {
  const none = document.querySelector(".command-empty");
  if (asksForOption(target) && none) none.textContent = "Looking for options…";
});

// Who one is stays when the channel changes, as in Discord: ?as=Omar.
const picker = document.getElementById("viewer-picker");
const links = document.querySelectorAll("#sandbox-links a");
const asked = new URLSearchParams(location.search);
const wanted = asked.get("as");
/** @param {string} name */
function remember(name) {
  history.replaceState(null, "", `?as=${encodeURIComponent(name)}${location.hash}`);
  for (const link of links) {
    const address = new URL(link.href);
    address.searchParams.set("as", name);
    link.href = address.href;
  }
}
// Before SimCord's own listener, which empties the list to fill it anew.
picker.addEventListener("change", () => remember(picker.selectedOptions[0].textContent), { capture: true });
if (wanted) {
  const filled = new MutationObserver(() => {
    const option = [...picker.options].find((one) => one.textContent === wanted);
    if (!option) return;
    filled.disconnect();
    remember(wanted);
    if (option.selected) return;
    option.selected = true;
    picker.dispatchEvent(new Event("change"));
  });
  filled.observe(picker, { childList: true });
}

// Herald's links to cards are Discord's own addresses: here they lead to the channel in the sandbox.
const CARD = /^https:\/\/discord\.com\/channels\/\d+\/(\d+)\/(\d+)$/;
document.addEventListener("click", (event) => {
  const found = event.target instanceof Element && CARD.exec(event.target.closest("a")?.href ?? "");
  if (!found) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const address = new URL(`/discord/${found[1]}`, links[0].href);
  address.searchParams.set("as", picker.selectedOptions[0].textContent);
  address.searchParams.set("to", found[2]);
  location.href = address.href;
}, { capture: true });
let sought = asked.get("to");

// What is drawn while something is pressed may move it away: browsers make no click of such a press.
const STILL = 5;
/** @type {{control: HTMLElement, x: number, y: number} | null} */
let pressed = null;
document.addEventListener("pointerdown", ({ target, clientX, clientY }) => {
  const control = target instanceof Element ? target.closest("a, button") : null;
  pressed = control instanceof HTMLElement ? { control, x: clientX, y: clientY } : null;
}, { capture: true });
document.addEventListener("pointerup", ({ target, clientX, clientY }) => {
  const moved = pressed && !(target instanceof Node && pressed.control.contains(target));
  if (moved && Math.hypot(clientX - pressed.x, clientY - pressed.y) < STILL) pressed.control.click();
}, { capture: true });

// What comes is followed by whoever reads the end; SimCord lets go of it as soon as the composer grows.
const NEAR = 300;
const timeline = document.getElementById("channel-timeline");
let newest = null;
let follows = true;
timeline.addEventListener("scroll", () => {
  follows = timeline.scrollHeight - timeline.scrollTop - timeline.clientHeight < NEAR;
});
// What is drawn after a card that is sought moves it away again, for so long.
const SETTLES_MS = 3000;
let settling = null;
new MutationObserver(() => {
  const last = [...timeline.querySelectorAll("[data-message-id]")].at(-1)?.dataset.messageId;
  const card = sought && timeline.querySelector(`[data-message-id="${CSS.escape(sought)}"]`);
  if (card) {
    settling ??= setTimeout(() => { sought = null; }, SETTLES_MS);
    newest = last;
    follows = false;
    requestAnimationFrame(() => card.scrollIntoView({ block: "start" }));
    return;
  }
  if (last === newest) return;
  newest = last;
  if (follows) requestAnimationFrame(() => { timeline.scrollTop = timeline.scrollHeight; });
}).observe(timeline, { childList: true, subtree: true });
