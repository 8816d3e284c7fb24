"""Some lines below a list, on what its cursor is on."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class About(Static):
    """Content of which the screen is laid out anew only where it needs other room than what was there before: a layout
    takes as long as a paint."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._told = Content()

    def tell(self, content: Content) -> None:
        """Show it, if it is not what is shown already."""
        if content.is_same(self._told):
            return
        width, rules = self.size.width, self.styles.get_rules()
        is_other = not width or content.get_height(rules, width) != self._told.get_height(rules, width)
        self._told = content
        self.update(content, layout=is_other)
