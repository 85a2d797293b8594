"""Names for synthetic categories: plain ones, and odd ones such as real trees have.

Of the oddities blanks, no-break spaces, newlines and TikTok's own test categories are facts
(TikTok Shop API, Get Categories); the others are what breaks a page, a terminal or a spreadsheet.
"""

from random import Random
from typing import Final

ADJECTIVES: Final = (
    "Baby", "Classic", "Compact", "Cordless", "Cotton", "Digital", "Eco", "Electric", "Folding",
    "Garden", "Handmade", "Home", "Kids'", "Leather", "Luxury", "Men's", "Outdoor", "Portable",
    "Professional", "Smart", "Sports", "Travel", "Vintage", "Waterproof", "Women's", "Wooden",
)  # fmt: skip
NOUNS: Final = (
    "Accessories", "Appliances", "Bags", "Bedding", "Books", "Cameras", "Carpets", "Chargers",
    "Clocks", "Cookware", "Costumes", "Drills", "Earrings", "Fragrance", "Furniture", "Games",
    "Gloves", "Hats", "Headphones", "Jackets", "Keyboards", "Lamps", "Makeup", "Mugs", "Paint",
    "Pet Food", "Phones", "Plants", "Scarves", "Shoes", "Snacks", "Stationery", "Storage",
    "Supplements", "Tents", "Tools", "Toys", "Vases", "Watches", "Yarn",
)  # fmt: skip
ODDITIES: Final = (
    " {}",
    "{} ",
    "\u00a0{}",
    "{}\u00a0 ",
    "{}\n",
    "<b>{}</b> & \"more\" 'n' co",
    "[bold red]{}[/bold red]",
    "=SUM(1,2) {}",
    "{} \U0001f9f8\U0001f468\u200d\U0001f469\u200d\U0001f467",  # a teddy bear and a family
    "\u5bb6\u5c45\u7528\u54c1 {}",  # Chinese: home supplies
    "{} \u30b3\u30b9\u30e1",  # Japanese: cosmetics
    "\u0623\u062f\u0648\u0627\u062a {}",  # Arabic: tools
    "{} \u05e6\u05e2\u05e6\u05d5\u05e2\u05d9\u05dd",  # Hebrew: toys
    "Cafe\u0301 {}",  # an accent of its own, as decomposed Unicode has it
    "TikTok test category {}, do not use",
)


def plain(random: Random) -> str:
    """Return a name such as `Cordless Drills`."""
    return f"{random.choice(ADJECTIVES)} {random.choice(NOUNS)}"


def odd(number: int, name: str) -> str:
    """Return `name` with the oddity of this `number`; they take turns."""
    return ODDITIES[number % len(ODDITIES)].format(name)
