"""Calls of a model or an agent, recorded, with a second model run beside them to see whether it would agree."""

import asyncio
import contextlib
import contextvars
import inspect
import random as randomness
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, Unpack, overload

from mcp_observatory.disagreement import disagreement
from mcp_observatory.facts import Facts, check_names, tell
from mcp_observatory.interceptor import MCPInterceptor
from mcp_observatory.trace_context import TraceContext, as_current

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A second model, asked the same. Its answer is compared and thrown away; its errors are only counted.

    Units: seconds. The primary's answer waits at most `wait_s` for the comparison, and the comparison at most
    `timeout_s` for the shadow; `most_running` shadows run at a time. `sample` is the share of calls that get one.
    `scorer` answers 0 (the same) to 1; up to `agrees_up_to` the two agree.
    """

    call: Callable[[Any], Any]
    model: str
    provider: str | None = None
    timeout_s: float = 30.0
    wait_s: float = 0.0
    sample: float = 1.0
    most_running: int = 4
    scorer: Callable[[Any, Any], float] = disagreement
    agrees_up_to: float = 0.30


class Wrapper(Generic[T]):
    """`invoke` asks the model. `shadows` counts those that were compared, timed out, failed or were left out."""

    def __init__(
        self,
        interceptor: MCPInterceptor,
        call: Callable[[Any], Any],
        *,
        model: str,
        provider: str | None = None,
        shadow: Shadow | None = None,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self._interceptor = interceptor
        self._call = call
        self._model = model
        self._provider = provider
        self._shadow = shadow
        self._random = random
        self._running: set[asyncio.Task[Any]] = set()
        self.shadows: Counter[str] = Counter()

    async def invoke(self, prompt: Any, **facts: Unpack[Facts]) -> T:
        """The answer of the call to this prompt, as it is; its errors too."""
        check_names(facts)
        facts.setdefault("provider", self._provider)
        opened = self._interceptor.span("model_call", model=self._model, parent=facts.get("parent"))
        shadow = self._start_shadow(prompt, opened.span)
        opened.deferred = shadow is not None
        try:
            answer: T = await self._interceptor.run_model_call(opened, prompt, lambda: self._call(prompt), facts)
        except BaseException:
            if shadow is not None:
                shadow.cancel()
                self._interceptor.finish(opened.span)
            raise
        if shadow is not None and self._shadow is not None:
            ending = asyncio.create_task(self._compare(self._shadow, opened.span, answer, shadow))
            # Also where the loop ends before the comparison began.
            ending.add_done_callback(lambda _: self._interceptor.finish(opened.span))
            self._keep(ending)
            if self._shadow.wait_s > 0:
                await asyncio.wait({ending}, timeout=self._shadow.wait_s)
        return answer

    def _start_shadow(self, prompt: Any, span: TraceContext) -> "asyncio.Task[Any] | None":
        """The shadow's run, where this call gets one."""
        shadow = self._shadow
        if shadow is None or self._random() >= shadow.sample:
            return None
        if self.shadows["running"] >= shadow.most_running:
            self.shadows["left_out"] += 1
            return None
        asked = self._ask_shadow(shadow, prompt)
        try:
            with as_current(span):
                task = asyncio.get_running_loop().create_task(asked)
        except RuntimeError:  # another loop than asyncio's
            asked.close()
            self.shadows["left_out"] += 1
            return None
        self.shadows["running"] += 1
        task.add_done_callback(self._shadow_ended)
        self._keep(task)
        return task

    async def _ask_shadow(self, shadow: Shadow, prompt: Any) -> Any:
        opened = self._interceptor.span("other", name=f"shadow {shadow.model}", model=shadow.model)
        is_async = inspect.iscoroutinefunction(shadow.call)
        return await self._interceptor.run_model_call(
            opened,
            prompt,
            lambda: shadow.call(prompt) if is_async else _in_own_thread(shadow.call, prompt),
            {"provider": shadow.provider},
        )

    async def _compare(self, shadow: Shadow, span: TraceContext, answer: Any, asked: "asyncio.Task[Any]") -> None:
        """The span says how far the two are apart, if the shadow answers in time."""
        began_s = (span.end_time - span.start_time).total_seconds() if span.end_time else 0.0
        await asyncio.wait({asked}, timeout=max(0.0, shadow.timeout_s - began_s))
        if not asked.done():
            self.shadows["timed_out"] += 1
            asked.cancel()
            return
        try:
            score = float(shadow.scorer(answer, asked.result()))
        except (Exception, asyncio.CancelledError):
            self.shadows["failed"] += 1
            return
        self.shadows["compared"] += 1
        tell(span, {"shadow_disagreement_score": score, "shadow_agreement": score <= shadow.agrees_up_to})

    def _shadow_ended(self, task: "asyncio.Task[Any]") -> None:
        self.shadows["running"] -= 1
        if not task.cancelled():
            # Looked at, so that asyncio does not report it as forgotten.
            task.exception()

    def _keep(self, task: "asyncio.Task[Any]") -> None:
        """A reference until it is done: the loop itself holds only a weak one."""
        self._running.add(task)
        task.add_done_callback(self._running.discard)


@overload
def wrap(
    interceptor: MCPInterceptor,
    call: Callable[[Any], Awaitable[T]],
    *,
    model: str,
    provider: str | None = None,
    shadow: Shadow | None = None,
) -> Wrapper[T]: ...


@overload
def wrap(
    interceptor: MCPInterceptor,
    call: Callable[[Any], T],
    *,
    model: str,
    provider: str | None = None,
    shadow: Shadow | None = None,
) -> Wrapper[T]: ...


def wrap(
    interceptor: MCPInterceptor,
    call: Callable[[Any], Any],
    *,
    model: str,
    provider: str | None = None,
    shadow: Shadow | None = None,
) -> Wrapper[Any]:
    """`await wrap(interceptor, ask, model="gpt-4o").invoke(prompt)` is `await ask(prompt)`, recorded."""
    return Wrapper(interceptor, call, model=model, provider=provider, shadow=shadow)


def _in_own_thread(call: Callable[[Any], Any], prompt: Any) -> "asyncio.Future[Any]":
    """What a function that is not async answers. Its thread ends with the process, however long it hangs."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(answer: Any, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(answer)

    def work() -> None:
        answer, failed = None, None
        try:
            answer = context.run(call, prompt)
        except Exception as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, answer, failed)

    threading.Thread(target=work, name="mcp-observatory-shadow", daemon=True).start()
    return future
