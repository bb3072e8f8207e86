"""Options that every verb accepts, before or after the verb."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

import click

from xcom_rollout.api.durations import parse_duration

EXIT_DONE: Final = 0
EXIT_STALLED: Final = 1
EXIT_USAGE: Final = 2
EXIT_GOING_ON: Final = 3
EXIT_UNREACHABLE: Final = 4

F = TypeVar("F", bound=Callable[..., Any])


class Duration(click.ParamType[timedelta]):
    """A duration as Kubernetes writes it, such as 90s or 1h30m."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True)
class Target:
    """Where the rollout is, and the output format."""

    namespace: str | None = None
    context: str | None = None
    output: str | None = None

    @property
    def as_json(self) -> bool:
        return self.output == "json"

    def over(self, other: "Target") -> "Target":
        """Return these options, with those of `other` where one is missing here."""
        return Target(
            self.namespace or other.namespace,
            self.context or other.context,
            self.output or other.output,
        )


def common_options(function: F) -> F:
    """Add the options and pass them as the argument `target`."""

    @click.option(
        "-n", "--namespace", help="Namespace of the rollout. Default: that of the context."
    )
    @click.option(
        "--context", "context_", help="Context of the kubeconfig. Default: the current context."
    )
    @click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json"]),
        help="Output format; text by default.",
    )
    @functools.wraps(function)
    def wrapped(
        *arguments: Any,
        namespace: str | None,
        context_: str | None,
        output: str | None,
        **rest: Any,
    ) -> Any:
        target = Target(namespace, context_, output)
        before = click.get_current_context().find_object(Target)
        return function(*arguments, target=target.over(before or Target()), **rest)

    return wrapped  # type: ignore[return-value]  # the same function to click


def remember(ctx: click.Context, target: Target) -> None:
    """Let the verb inherit the options that were given before it."""
    ctx.obj = target
