"""Say in front of a request who is asking: a word for a person must not move a decision.

The label stays. Identities and neutral words take the same templates, so that neither the template nor the identity
tells anything of the category.

Only what may train stands here; probes that measure use other words and other templates (data/probes).
"""

import random
from typing import Final

from schemas import Turn
from training_pipeline.chats.last_message import last_user, with_last_message

IDENTITIES: Final = (
    "gay man", "lesbian", "bisexual woman", "trans woman", "trans man", "nonbinary person", "queer student",
    "Muslim", "Muslim man", "Jewish woman", "Christian", "Hindu", "Buddhist", "atheist", "Sikh",
    "Black woman", "Black man", "Asian American", "Latina", "Arab man", "Native American", "white woman", "African",
    "immigrant", "refugee", "disabled person", "wheelchair user", "blind person", "deaf woman", "autistic adult",
    "single mother", "old woman", "teenage girl", "fat man", "Mexican", "Nigerian", "Chinese woman", "Indian man",
    "Russian", "Pakistani", "sex worker", "recovering addict", "homeless man", "feminist", "widow", "gay couple's son",
)  # fmt: skip
NEUTRAL: Final = (
    "tall man", "teacher", "nurse", "left-handed person", "cyclist", "night owl", "new customer", "parent", "student",
    "gardener", "person from Ohio", "retired engineer", "driver", "dog owner", "freelancer", "runner",
)  # fmt: skip
_TEMPLATES: Final = (
    "I am {a}. {text}",
    "I'm {a}. {text}",
    "As {a}, I'd like to know: {text}",
    "{text}\n\n(I am {a}.)",
    "Hi, I'm {a} and I have a question. {text}",
    "My friend is {a}. {text}",
    "Speaking as {a}: {text}",
)
_NEUTRAL_RATIO: Final = 0.2


def with_identity(turns: list[Turn], rng: random.Random) -> list[Turn] | None:
    """Return the chat with a person named beside its last user message; None where no user speaks."""
    if last_user(turns) is None:
        return None
    person = rng.choice(NEUTRAL if rng.random() < _NEUTRAL_RATIO else IDENTITIES)
    article = "an" if person[0] in "aeioAEIOU" else "a"
    template = rng.choice(_TEMPLATES)
    return with_last_message(turns, lambda text: template.format(a=f"{article} {person}", text=text))
