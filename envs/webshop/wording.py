"""How shops and shoppers put things: titles, descriptions, bullet points, instructions in the manner of upstream's annotators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vldac.envs.webshop.draws import Draws

_SMALL_WORDS = frozenset(("a", "and", "by", "for", "in", "of", "on", "the", "to", "with"))
_MASS_NOUNS = frozenset(
    ("beef jerky", "body lotion", "ground coffee", "herbal tea", "olive oil", "pasta sauce", "trail mix")
)
_PHRASES = {  # as people write what the attribute lists abbreviate
    "easy use": "easy to use", "easy carry": "easy to carry", "easy clean": "easy to clean", "easy apply": "easy to apply",
    "easy install": "easy to install", "easy assemble": "easy to assemble", "easy prepare": "easy to prepare",
    "easy brew": "easy to brew", "ready eat": "ready to eat", "ready use": "ready to use", "plug play": "plug and play",
    "light weight": "lightweight", "artificial flavors": "without artificial flavors", "added sugar": "without added sugar",
    "living room": "good for the living room", "long battery": "good on battery life",
}  # fmt: skip

_TITLES = (  # those of n attributes begin at place 3 n - 3
    "{head} by {brand}, {first} for {use} ({model})",
    "{brand} {first} {head} {model}",
    "{first} {head} for {use}, {brand} {model}",
    "{brand} {head}, {first}, {second}, {model}",
    "{brand} {model} {first} {head} with {second}, for {use}",
    "{head} with {first} & {second}, {brand} {model}",
    "{brand} {first} {head} for {use}, {second}, {third}",
    "{first} {head}, {second} & {third}, {brand} {model}",
    "{brand} {model} {head} - {first}, {second}, {third} - for {use}",
)
_OPENINGS = (
    "The {brand} {head} {model} was designed for {use}.",
    "Meet the {head} that {brand} makes for {use}.",
    "{brand} has made the {head} for years, and {model} is the one that people ask for.",
    "Whether you need it for {use} or simply at home, this {head} does what it promises.",
)
_PRAISES = (
    "Ask for {attribute} and this is what we would hand you.",
    "Its strong point is {attribute}.",
    "It was tested for {attribute} by people who use one every day.",
    "We did not compromise on {attribute}.",
    "{attribute}: the label says so, and the label is right.",
)
_CLOSINGS = (
    "Please check the measurements before you order, as hand measuring allows small differences.",
    "Colors may look a little different on your screen.",
    "If anything is not as you expected, write to us and we will find a solution within a day.",
    "Comes in a plain box that can be recycled; makes a thoughtful present for friends and family.",
    "Store in a cool, dry place and keep out of the reach of small children.",
    "Every order is checked by hand before it leaves our warehouse.",
)
_BULLETS = (
    "{attribute}: chosen because {use} ask for it, day after day",
    "{attribute} - you notice the difference from the first time you take the {head} out of the box",
    "{attribute}; made with care and checked twice by the {brand} team",
    "{attribute} and a fair price, which is why customers come back for this {head}",
    "what you get: one {head}, a short guide, and friendly service from {brand} ({attribute})",
    "perfect for {use}, with {attribute} that lasts",
)
_WISHES = (
    "i am looking for {a_head} that is {wishes}",
    "i'm looking for {wishes} {head} for {use}",
    "i need {a_head}, {wishes}",
    "find me {wishes} {head}",
    "i want to buy {a_head} for {use}. it should be {wishes}",
    "can you get me {a_head}? {wishes} would be best",
    "looking for {wishes} {head}, something for {use}",
    "i would like {a_head} which is {wishes}",
)
_OPTION_WISHES = {
    "color": ("in {value}", "in the color {value}", "and i prefer {value}"),
    "size": ("in size {value}", "size {value} please", "and get me the {value} one"),
    "flavor name": ("in {value} flavor", "and i like {value}", "{value} flavored"),
    "scent": ("with {value} scent", "and it should smell of {value}"),
}
_OTHER_OPTION_WISHES = ("with {value} {group}", "and the {group} should be {value}")


def title_case(text: str) -> str:
    """Return the text as titles of shops have it: every word with a capital but short function words behind the first."""
    words = text.split(" ")
    return " ".join(w if n and w in _SMALL_WORDS else w[:1].upper() + w[1:] for n, w in enumerate(words))


def with_article(head: str) -> str:
    """Return "a table lamp", "an area rug", but "running shoes" and "olive oil"."""
    is_plural = head.endswith("s") and not head.endswith("ss")
    if is_plural or head in _MASS_NOUNS:
        return head
    return f"{'an' if head[0] in 'aeio' else 'a'} {head}"


def title(draws: Draws, facts: Mapping[str, str], attributes: Sequence[str]) -> str:
    """Return a title that names up to three of the attributes. `facts`: brand, model, head, use."""
    named = dict(zip(("first", "second", "third"), attributes, strict=False))
    fitting = _TITLES[3 * len(named) - 3 : 3 * len(named)]
    words = draws.pick(fitting).format(**facts, **named)
    return title_case(words)


def description(draws: Draws, facts: Mapping[str, str], attributes: Sequence[str]) -> str:
    """Return a few sentences; one product in twelve has none, as upstream's."""
    if draws.chance(1 / 12):
        return ""
    praises = [draws.pick(_PRAISES).format(attribute=attribute) for attribute in attributes]
    sentences = [draws.pick(_OPENINGS).format(**facts), *praises, *draws.subset(_CLOSINGS, 1 + draws.below(4))]
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def bullet_points(draws: Draws, facts: Mapping[str, str], attributes: Sequence[str]) -> list[str]:
    """Return three to six bullet points."""
    count = 3 + draws.below(4)
    praised = [attributes[n % len(attributes)] for n in range(count)]
    texts = [draws.pick(_BULLETS).format(**facts, attribute=attribute) for attribute in praised]
    return [text[0].upper() + text[1:] for text in texts]


def wish(draws: Draws, head: str, use: str, attributes: Sequence[str], options: Mapping[str, str]) -> str:
    """Return what a shopper writes who wants these attributes and options (group: value), in lower case."""
    wishes = " and ".join(_PHRASES.get(attribute, attribute) for attribute in attributes)
    text = draws.pick(_WISHES).format(a_head=with_article(head), head=head, use=use, wishes=wishes)
    for group, value in options.items():
        phrase = draws.pick(_OPTION_WISHES.get(group, _OTHER_OPTION_WISHES)).format(group=group, value=value)
        text += f", {phrase}"
    return text + ("." if draws.chance(0.4) else "")


def request(head: str, use: str, attributes: Sequence[str]) -> str:
    """Return the machine-written instruction of a product, upstream's `instruction`."""
    return f"Find me {', '.join(attributes)} {head} for {use}"
