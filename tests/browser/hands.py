"""One person at one browser, who counts every click, every field and every page."""

from dataclasses import dataclass, field

from playwright.sync_api import Frame, Locator, Page, expect


@dataclass
class Hands:
    """What somebody did so far; ``typed`` counts fields written or chosen, ``pages`` those that were loaded."""

    name: str
    page: Page
    clicks: int = 0
    typed: int = 0
    pages: int = 0
    did: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Count pages from now on."""
        self.page.on("framenavigated", self._moved)

    def _moved(self, frame: Frame) -> None:
        if frame == self.page.main_frame:
            self.pages += 1

    def press(self, target: str | Locator) -> None:
        """Click a link or a button by what stands on it."""
        self.clicks += 1
        if isinstance(target, str):
            self.did.append(target)
            self._offered(target).click()
        else:
            target.click()

    def _offered(self, word: str) -> Locator:
        main = self.page.locator("main")
        link, button = (main.get_by_role(role, name=word, exact=True) for role in ("link", "button"))
        return link.or_(button).first

    def write(self, **values: str) -> None:
        """Fill fields by their names."""
        for name, value in values.items():
            self.typed += 1
            self.page.locator(f"[name={name}]").fill(value)

    def choose(self, **values: str) -> None:
        """Choose in selects by what stands there."""
        for name, value in values.items():
            self.typed += 1
            self.page.locator(f"select[name={name}]").select_option(value)

    def tick(self, label: str) -> None:
        """Tick a box."""
        self.clicks += 1
        self.page.get_by_label(label, exact=True).check()

    def sees(self, text: str) -> None:
        """Wait until the band or the page says so."""
        expect(self.page.locator("main")).to_contain_text(text)

    def said(self) -> str:
        """Return the counts as one line."""
        return f"{self.name:<8} {self.clicks:>3} clicks {self.typed:>3} fields {self.pages:>3} pages"
