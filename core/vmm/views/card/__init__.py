"""The card of an exit: what trapped, by which rule, who handled it, what changed, and who would have got by without."""

from .view import CardPage, CardView, view_card

__all__ = ["CardPage", "CardView", "view_card"]
