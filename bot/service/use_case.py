"""How a use case is run: as one transaction of the store; what is refused is recorded in the next."""

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar, overload

import structlog

from bot.broadcast import Broadcast, Step
from bot.errors import Refused
from bot.permissions import Action, Actor
from bot.service.gate import Gate
from bot.store import Access, Store, Transaction

log = structlog.get_logger()

# What moves a broadcast, and not only looks at it or begins one.
_STEPS: Final = frozenset(Action) & {step.value for step in Step}

P = ParamSpec("P")
T = TypeVar("T")


class Runs(Protocol):
    """Whoever offers use cases: the database they run on, and what they share."""

    @property
    def store(self) -> Store:
        """Return where they run."""
        ...

    @property
    def gate(self) -> Gate:
        """Return what each of them asks."""
        ...


class UseCase(Generic[P, T]):
    """A function over a transaction as a method that a loop can await.

    Every refusal stands in the audit log as one of `action`; without one, the first argument says of which.
    """

    def __init__(
        self,
        work: Callable[Concatenate[Transaction, Gate, Actor, P], T],
        action: Action | None = None,
        *,
        writes: bool = True,
    ) -> None:
        self._work = work
        self._action = action
        self._writes = writes
        self.__doc__ = work.__doc__

    @overload
    def __get__(self, offered: None, owner: type | None = None) -> "UseCase[P, T]": ...
    @overload
    def __get__(
        self, offered: Runs, owner: type | None = None
    ) -> Callable[Concatenate[Actor, P], Coroutine[Any, Any, T]]: ...
    def __get__(self, offered: Runs | None, owner: type | None = None) -> Any:
        """Return it bound to whoever offers it."""
        if offered is None:
            return self

        async def run(actor: Actor, *args: P.args, **kwargs: P.kwargs) -> T:
            return await self._run(offered, actor, *args, **kwargs)

        return run

    async def _run(self, offered: Runs, actor: Actor, *args: P.args, **kwargs: P.kwargs) -> T:
        about: list[Broadcast] = []

        def work(tx: Transaction) -> T:
            try:
                return self._work(tx, offered.gate, actor, *args, **kwargs)
            finally:
                if tx.about is not None:
                    about.append(tx.about)

        def record(tx: Transaction, refusal: Refused) -> None:
            action = self._action or next(one for one in args if isinstance(one, Action))
            offered.gate.lifecycle.note_refusal(tx, actor, action, refusal, about[0] if about else None)

        mode = Access.WRITE if self._writes else Access.READ
        result = await offered.store.attempt(mode, work, record)
        if self._action is not None and self._action in _STEPS and isinstance(result, Broadcast):
            _tell(actor, self._action, result)
        return result


def _tell(actor: Actor, action: Action, broadcast: Broadcast) -> None:
    log.info(
        "a person acted",
        action=action.value,
        broadcast=broadcast.id,
        proof=broadcast.proof,
        status=broadcast.status.value,
        person=actor.id,
    )
