"""What is on the screen, and what keys do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import has_focus
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.bindings.completion import generate_completions
from prompt_toolkit.layout import (
    BufferControl,
    Dimension,
    Float,
    FloatContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.output import Output
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import SearchToolbar

from p2pchat.console.completion import Known, complete
from p2pchat.terminal.conversation import Conversation
from p2pchat.terminal.scrolling import Scrolling
from p2pchat.terminal.wrapping import Fragments

#: Rows that what is being typed may take.
MAX_INPUT_ROWS = 8

#: Rows of the menu of completions.
MENU_ROWS = 8

#: Seconds between two drawings, so that a flood of messages leaves time for keys.
REDRAW_S = 0.03

#: Without colours all of it can be read too: what matters is in the words.
STYLE = Style.from_dict(
    {
        "time": "fg:ansibrightblack",
        "bar": "fg:ansibrightblack",
        "notice": "fg:ansibrightblack",
        "divider": "fg:ansibrightblack",
        "pending": "fg:ansibrightblack",
        "good": "fg:ansigreen",
        "bad": "fg:ansired bold",
        "prompt": "bold",
        "status": "reverse",
        "status who": "bold",
        "status unseen": "bold",
        "status good": "",
        "status pending": "",
        "status bad": "bold",
    }
)


class _Words(Completer):
    """Completes what is typed."""

    def __init__(self, known: Callable[[], Known]) -> None:
        self._known = known

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield what the last word could be."""
        line = document.current_line_before_cursor
        word = line.rpartition(" ")[2]
        for candidate in complete(line, self._known()):
            # What is whole needs a blank; one letter of a command does not.
            yield Completion(f"{candidate} ", start_position=-len(word), display=candidate)


class Screen:
    """A conversation, a status line, and a line to type in. `Terminal` creates it and runs its `app`.

    :param status: the status line as it is now.
    :param prompt: what stands before what is typed.
    :param known: whom the user may name.
    :param typed: takes what was typed.
    :param leave: the user wants to leave.
    :param looked: called after each key: the user has seen what is on the screen.
    """

    def __init__(
        self,
        conversation: Conversation,
        history: History,
        *,
        status: Callable[[], Fragments],
        prompt: Callable[[], str],
        known: Callable[[], Known],
        typed: Callable[[str], None],
        leave: Callable[[], None],
        looked: Callable[[], None],
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self.scrolling = Scrolling(conversation)
        self._typed = typed
        self._leave = leave
        self.buffer = Buffer(
            multiline=True,
            history=history,
            completer=_Words(known),
            accept_handler=self._accept,
        )
        search = SearchToolbar()
        field = Window(
            BufferControl(
                self.buffer,
                [BeforeInput(lambda: [("class:prompt", f"{prompt()}> ")])],
                search_buffer_control=search.control,
            ),
            height=Dimension(min=1, max=MAX_INPUT_ROWS),
            dont_extend_height=True,
            wrap_lines=True,
        )
        rows = HSplit(
            [
                Window(self.scrolling, always_hide_cursor=True),
                Window(FormattedTextControl(lambda: [*status()]), height=1, style="class:status"),
                field,
                search,
            ]
        )
        menu = Float(CompletionsMenu(max_height=MENU_ROWS), xcursor=True, ycursor=True)
        self.app: Application[None] = Application(
            Layout(FloatContainer(rows, [menu]), focused_element=field),
            key_bindings=self._keys(),
            style=STYLE,
            full_screen=True,
            min_redraw_interval=REDRAW_S,
            input=input,
            output=output,
        )
        self.app.key_processor.after_key_press += lambda _: looked()

    def _accept(self, buffer: Buffer) -> bool:
        self.scrolling.to_end()
        self._typed(buffer.text)
        return False

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        typing = has_focus(self.buffer)

        @keys.add("enter", filter=typing)
        def _(event: KeyPressEvent) -> None:
            self.buffer.validate_and_handle()

        @keys.add("escape", "enter", filter=typing)
        def _(event: KeyPressEvent) -> None:
            self.buffer.insert_text("\n")

        @keys.add("tab", filter=typing)
        def _(event: KeyPressEvent) -> None:
            generate_completions(event)

        @keys.add("s-tab", filter=typing)
        def _(event: KeyPressEvent) -> None:
            self.buffer.complete_previous()

        @keys.add("pageup")
        def _(event: KeyPressEvent) -> None:
            self.scrolling.page_up()

        @keys.add("pagedown")
        def _(event: KeyPressEvent) -> None:
            self.scrolling.page_down()

        @keys.add("c-c", filter=typing)
        def _(event: KeyPressEvent) -> None:
            if self.buffer.text:
                self.buffer.reset()
            else:
                self._leave()

        @keys.add("c-d", filter=typing)
        def _(event: KeyPressEvent) -> None:
            if self.buffer.text:
                self.buffer.delete()
            else:
                self._leave()

        @keys.add("c-z")
        def _(event: KeyPressEvent) -> None:
            """Do nothing: to stop this program would stop the peer with it, and the key is no text."""

        @keys.add("c-l")
        def _(event: KeyPressEvent) -> None:
            event.app.renderer.clear()

        return keys
