"""`micromimic models`."""

from __future__ import annotations

from micromimic.cli.console import say, text_table


def models() -> None:
    """List the models by name."""
    from micromimic.models.registry import entry, list_models, list_shipped

    known = [entry(name) for name in list_models()]
    shipped = list_shipped()
    rows = [
        (model.name, model.view, "yes" if model.name in shipped else "", model.about)
        for model in known
    ]
    say(text_table(("name", "looks at", "ready to use", "what it is"), rows, indent=0))
