"""What each endpoint is for in a sentence, and a few things to try in it."""

from __future__ import annotations

from typing import Any

from firstlight.gateway.catalogue import Entry
from firstlight.runtime import tasks

Example = tuple[str, dict[str, Any]]

_ABOUT = {
    "text-classification": "Says which label a text belongs to, and how sure it is.",
    "token-classification": "Finds names in a text: people, places, things.",
    "question-answering": "Finds the answer to a question in a text you give it.",
    "sentence-similarity": "Says how near in meaning sentences are.",
    "feature-extraction": "Turns a text into a vector of numbers, near ones for near meanings.",
    "zero-shot-classification": "Sorts a text into labels you make up.",
    "fill-mask": "Guesses the word that is missing.",
    "summarization": "Makes a long text short.",
    "translation": "Says it in another language.",
    "text2text-generation": "Writes text from text.",
    "text-generation": "Goes on with a text, a token at a time.",
}
_LIGHTHOUSE = (
    "The Eddystone Lighthouse stands on a reef nine miles south of Plymouth. The first tower was built of wood by "
    "Henry Winstanley and was lit in 1698; a storm swept it away five years later. The tower that stands there today "
    "was designed by James Douglass and was finished in 1882."
)
_LYRICS = (
    ("A sea song", "The anchor's weighed, the sails are set, away we go to roam across the rolling sea."),
    ("A hymn", "O gracious Lord, to thee we raise our voices in a song of praise."),
    ("A love song", "My love is like the blooming rose, her eyes are bright as stars above."),
)
_TEXTS: dict[str, tuple[Example, ...]] = {
    "text-classification": (
        ("Delighted", {"inputs": "What a lovely day. The light came in and the whole room sang."}),
        ("Let down", {"inputs": "I waited an hour, the soup was cold and nobody said sorry."}),
        ("Hard to say", {"inputs": "The film is long, and I am still not sure what I think of it."}),
    ),
    "question-answering": (
        (
            "Who?",
            {"inputs": {"question": "Who designed the tower that stands today?", "context": _LIGHTHOUSE}},
        ),
        ("When?", {"inputs": {"question": "When was the first tower lit?", "context": _LIGHTHOUSE}}),
        ("Where?", {"inputs": {"question": "Where does the lighthouse stand?", "context": _LIGHTHOUSE}}),
    ),
    "sentence-similarity": (
        (
            "A ship",
            {
                "inputs": {
                    "source_sentence": "The ship came home at dawn.",
                    "sentences": [
                        "At first light the vessel returned to port.",
                        "The boat arrived in the morning.",
                        "Bread is baked from flour and water.",
                    ],
                }
            },
        ),
        (
            "A question",
            {
                "inputs": {
                    "source_sentence": "How do I change my password?",
                    "sentences": [
                        "Where can I set a new password?",
                        "What are your opening hours?",
                        "I forgot my login and need to reset it.",
                    ],
                }
            },
        ),
    ),
    "token-classification": (
        ("A trip", {"inputs": "Clara Hughes flew from Winnipeg to Oslo to work for the Red Cross."}),
    ),
    "zero-shot-classification": (
        (
            "A match",
            {
                "inputs": "The goalkeeper saved the last shot of the match.",
                "parameters": {"candidate_labels": ["sport", "cooking", "travel"]},
            },
        ),
    ),
}
_TEXTS["text-generation"] = (
    ("A king", {"inputs": "Once upon a time there was a king who had"}),
    ("A forest", {"inputs": "The youngest daughter went into the dark forest, and there she saw"}),
    ("A talk", {"inputs": '"What is your name?" said the old woman. "My name," said he,'}),
)
_SCRIPT: tuple[Example, ...] = (("A text", {"text": "What a lovely day."}),)


def about(entry: Entry, task: str | None) -> str:
    """One sentence on what an endpoint does when it does this task."""
    if entry.endpoint.script is not None:
        return f"Your own handler, {entry.endpoint.script.name}."
    if entry.name == "lyrics":
        return "Says what kind of song a verse is from."
    return _ABOUT.get(task or "", "")


def examples(entry: Entry, task: str | None) -> tuple[Example, ...]:
    """Named events to try; the first one fills the form at the start."""
    if task is None:
        return _SCRIPT
    if entry.name == "lyrics":
        return tuple((name, {"inputs": verse}) for name, verse in _LYRICS)
    return _TEXTS.get(task) or (("An example", tasks.schema(task)["example"]),)
