"""What a page must hold for people who see, point or read differently (WCAG 2.2 AA, in part)."""

# Every element that shows text, with the contrast of its colour to what lies behind it (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const rgb = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return [...n.slice(0, 3), n[3] ?? 1]; };
  const light = (c) => { const f = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]); };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  return [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && !e.closest(':disabled')
    && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.tagName + ': ' + e.textContent.trim().slice(0, 30)]; })
    .filter(([ratio]) => ratio < 4.5);
}"""
# Controls without a name for screen readers, and pictures without a text.
NAMELESS = """() => [...document.querySelectorAll('button, input, select, audio, progress, svg[role=img], a')]
  .filter((e) => e.checkVisibility()).filter((e) => !(e.textContent.trim() || e.labels?.length || e.ariaLabel
    || e.getAttribute('aria-labelledby') || e.title)).map((e) => e.outerHTML.slice(0, 80))"""


def check_accessible(page) -> None:
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
