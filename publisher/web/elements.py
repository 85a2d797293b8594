"""HTML as a tree that is put into words at the end, so that nothing can be left unescaped.

What comes from outside is made harmless besides: a mark that turns the direction of writing is no
markup, but could make a page say something else than it does.
"""

from xml.etree.ElementTree import Element, tostring

from plumbing.text import escape_control_chars


def element(tag: str, *inside: "Element | str", **attributes: str) -> Element:
    """Return an element with texts and elements in it; `class_` is the attribute `class`."""
    made = Element(
        tag, {name.rstrip("_"): escape_control_chars(value) for name, value in attributes.items()}
    )
    for each in inside:
        if isinstance(each, Element):
            made.append(each)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + escape_control_chars(each)
        else:
            made.text = (made.text or "") + escape_control_chars(each)
    return made


def document(root: Element) -> str:
    """Return a whole page of HTML."""
    return f"<!DOCTYPE html>\n{tostring(root, encoding='unicode', method='html')}\n"
