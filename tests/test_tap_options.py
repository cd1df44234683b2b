"""The options of ``twistd p2pchat``, and the settings that come of them."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from p2pchat import __version__, settings, tap
from p2pchat.addresses import Address, TlsAddress
from p2pchat.protocol.names import PeerId
from p2pchat.settings import Settings
from p2pchat.trust.allowed import Allowed
from p2pchat.trust.namespacekey import NamespaceKey
from p2pchat.trust.secretfile import write_secret
from tests.keys import random_bytes_of
from tests.programs import ProgramTestCase
from tests.rendezvous.certificates import Authority

#: Each option with values as they are given, and what the settings are then.
GOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("port", "7171", {"port": 7171}),
    ("port", "0", {"port": 0}),
    ("interface", "127.0.0.1", {"interface": "127.0.0.1"}),
    ("interface", "::1", {"interface": "::1"}),
    ("advertise-port", "9999", {"advertise_port": 9999}),
    ("rendezvous", "example.org:8080", {"rendezvous": Address("example.org", 8080), "shared": False}),
    ("rendezvous", "127.0.0.1:5000", {"rendezvous": Address("127.0.0.1", 5000), "shared": False}),
    ("rendezvous", " tls:example.org:443", {"rendezvous": TlsAddress("example.org", 443), "shared": False}),
    ("rendezvous", "none", {"rendezvous": None, "shared": False}),
    ("rendezvous", " None ", {"rendezvous": None, "shared": False}),
    ("registration-ttl", "1", {"registration_ttl_s": 1}),
    ("registration-ttl", "86400", {"registration_ttl_s": 86400}),
    ("peer", "10.0.0.2:7070", {"peers": (Address("10.0.0.2", 7070),)}),
]

#: Each option with values that are wrong, and what the user is told.
BAD: list[tuple[str, str, str]] = [
    *(("port", text, "expected a whole number from 0 to 65535") for text in ("x", "-1", "65536", "7070.5")),
    *(("advertise-port", text, "expected a whole number from 1 to 65535") for text in ("x", "0", "65536")),
    *(("registration-ttl", text, "expected a whole number from 1 to 86400") for text in ("0", "86401", "2h")),
    *(("interface", text, "expected an IP address of this machine") for text in ("localhost", "eth0")),
    ("interface", "192.0.2.1", "192.0.2.1 is not an address of this machine"),
    *(("rendezvous", text, "expected HOST:PORT") for text in ("example.org", "http://x:80/", "tls:h")),
    *(("history-days", text, "expected a whole number from 1 to 36500") for text in ("0", "36501", "1y")),
    *(("log-format", text, "expected text or json") for text in ("xml", "JSON")),
    ("rendezvous-ca", "/nowhere", "the file '/nowhere' cannot be read (No such file or directory)"),
    ("rendezvous", "example.org:0", "a port is from 1 to 65535"),
    *(("peer", text, "expected HOST:PORT") for text in ("bob", "bob@UnB", "10.0.0.2", "none")),
    *(("name", text, "a name has no @, #, *, slash, space or control character") for text in (
        "a@b", "a#b", "*", "a/b", "a\\b", "a b", "a\nb", "a\u202eb", "a\u200db",
    )),
    ("name", "n" * 65, "a name has 1 to 64 characters, this one has 65"),
    *(("name", text, "a name does not start with a dot") for text in (".", "..", ".hidden")),
    ("namespace", "n" * 65, "a namespace has 1 to 64 characters, this one has 65"),
    ("namespace", "#UnB", "a namespace has no @, #, *, slash"),
    ("namespace", "..", "a namespace does not start with a dot"),
]  # fmt: skip

#: Each option as the help shows it: its unit or form, and its default.
HELP = {
    "name": ("1 to 64 characters", "Required."),
    "namespace": ("1 to 64 characters", "[default: lobby]"),
    "port": ("TCP port to listen on", "[default: 7070, or a free one where that is taken]"),
    "interface": ("IP address", "[default: all of this machine]"),
    "advertise-port": ("TCP port to register", "[default: the port]"),
    "rendezvous": ("HOST:PORT", "[default: 127.0.0.1:5000, which one of the peers"),
    "rendezvous-ca": ("PEM file", "[default: whom the system knows]"),
    "registration-ttl": ("Seconds", "[default: 7200]"),
    "data-dir": ("Folder", "[default: folders of its own under the state and data folders of the user]"),
    "history-days": ("Days", "[default: 365]"),
    "log-format": ("text, or json with an object a line", "[default: text]"),
    "allow": ("name@namespace a line", "[default: all may come]"),
    "namespace-key": ("as p2pchat namespace-key new makes it", "[default: none, it is signed only]"),
    "peer": ("HOST:PORT", "May be repeated. [default: none]"),
}


def variable(option: str) -> str:
    """Return the variable of an option, as its help says it."""
    return "P2PCHAT_" + option.replace("-", "_").upper()


class OptionTests(ProgramTestCase):
    def test_defaults(self) -> None:
        """With a name alone everything else has its default."""
        options = self.peer()
        self.assertEqual((options.own, options.settings), ("alice@lobby", Settings()))

    def test_good_values(self) -> None:
        """Every option takes what it should, from the command line and from the environment."""
        for option, text, changed in GOOD:
            expected = Settings(**changed)
            self.assertEqual(self.peer(f"--{option}", text).settings, expected)
            self.end_programs()
            self.environment[variable(option)] = text
            self.assertEqual(self.peer().settings, expected)
            self.end_programs()
            self.environment.clear()

    def test_bad_values(self) -> None:
        """Every wrong value is refused with its option, its variable and what would be right."""
        for option, text, words in BAD:
            start = ["-n", "p2pchat"] + (["--name", "alice"] if option != "name" else [])
            for arguments in ([f"--{option}", text], []):
                if not arguments:
                    self.environment[variable(option)] = text
                told = self.refused(*start, *arguments)
                self.assertTrue(told.startswith(f"--{option} (or {variable(option)}): "), told)
                self.assertIn(words, told)
                self.assertTrue(told.isprintable() and told.isascii(), told)
            self.environment.clear()
        self.assertFalse(self.state.exists())

    def test_empty_values(self) -> None:
        """An empty value on the command line is refused; an empty variable counts as none."""
        for option in HELP:
            self.assertTrue(self.refused("-n", "p2pchat", "--name", "alice", f"--{option}", ""), option)
            self.environment[variable(option)] = ""
        self.assertEqual(self.peer().settings, Settings())

    def test_command_line_wins(self) -> None:
        """Where both are given the command line wins, for every option; the other is not even read."""
        self.environment.update({variable(option): f"wrong {option} @" for option in HELP})
        allow, key, authority = (self.folder / name for name in ("allow", "key", "ca"))
        allow.write_text("bob@UnB")
        authority.write_bytes(Authority().pem)
        write_secret(key, NamespaceKey.new("UnB", random_bytes_of("key")).to_bytes())
        options = self.peer(
            *("--namespace", "UnB", "--port", "7171", "--interface", "127.0.0.1", "--advertise-port", "9"),
            *("--rendezvous", "tls:h:1", "--rendezvous-ca", str(authority)),
            *("--registration-ttl", "60", "--peer", "h:1", "--peer", "h:2"),
            *("--data-dir", str(self.folder / "data"), "--allow", str(allow), "--namespace-key", str(key)),
            *("--log-format", "json", "--history-days", "30"),
        )
        peers = (Address("h", 1), Address("h", 2))
        self.assertEqual(options.own, "alice@UnB")
        self.assertEqual(
            options.settings,
            Settings(7171, "127.0.0.1", 9, TlsAddress("h", 1), False, 60, peers, authority.read_bytes()),
        )
        self.assertEqual((options.history_days, options.keeps_history), (30, True))
        self.assertFalse(self.state.exists())

    def test_no_history(self) -> None:
        """History is kept for a year, or not at all where the user does not want it."""
        options = self.peer()
        self.assertEqual((options.history_days, options.keeps_history), (365, True))
        self.end_programs()
        self.assertFalse(self.peer("--no-history").keeps_history)
        self.end_programs()
        self.environment["P2PCHAT_NO_HISTORY"] = "yes"
        self.assertFalse(self.peer().keeps_history)

    def test_no_courier(self) -> None:
        """Others keep copies, and we keep theirs, unless the user does not want it."""
        self.assertTrue(self.peer().settings.courier)
        self.end_programs()
        self.assertFalse(self.peer("--no-courier").settings.courier)
        self.end_programs()
        self.environment["P2PCHAT_NO_COURIER"] = "yes"
        self.assertFalse(self.peer().settings.courier)

    def test_name_from_the_environment(self) -> None:
        """Name, namespace and folder come from the environment too."""
        data = self.folder / "data"
        self.environment.update(
            {"P2PCHAT_NAME": "bob", "P2PCHAT_NAMESPACE": "UnB", "P2PCHAT_DATA_DIR": str(data)}
        )
        twistd = self.begin("-n", "p2pchat")
        assert isinstance(twistd.subOptions, tap.Options)
        self.assertEqual(twistd.subOptions.own, "bob@UnB")
        self.assertEqual(twistd["pidfile"], str(data / "twistd.pid"))

    def test_name_is_required(self) -> None:
        """Without a name it is asked for, with an example."""
        self.assertEqual(
            self.refused("-n", "p2pchat"), "--name is required: who are you? For example: --name alice"
        )

    def test_peers_from_the_environment(self) -> None:
        """Several peers in the variable are divided by commas or blanks."""
        one, two = Address("h", 1), Address("::1", 2)
        for text, peers in (
            ("h:1,[::1]:2", (one, two)),
            (" h:1 , [::1]:2 ", (one, two)),
            ("h:1 [::1]:2", (one, two)),
            ("h:1\n[::1]:2,", (one, two)),
            (" , ", ()),
        ):
            self.environment["P2PCHAT_PEER"] = text
            self.assertEqual(self.peer().settings.peers, peers)
            self.end_programs()
        self.environment["P2PCHAT_PEER"] = "h:1 nonsense"
        self.assertIn("expected HOST:PORT", self.refused("-n", "p2pchat", "--name", "alice"))

    def test_options_share_nothing(self) -> None:
        """The peers of one command line are not those of the next."""
        self.peer("--peer", "h:1")
        self.end_programs()
        self.assertEqual(self.peer().settings.peers, ())

    def test_name_without_its_option(self) -> None:
        """A word that belongs to no option is refused with how it should be."""
        self.assertIn("'alice' follows no option", self.refused("-n", "p2pchat", "alice"))

    def test_version(self) -> None:
        """`--version` tells the version of p2pchat, not of Twisted."""
        with redirect_stdout(StringIO()) as printed:
            ended = self.assertRaises(SystemExit, tap.Options().parseOptions, ["--version"])
        self.assertEqual((printed.getvalue(), ended.code), (f"p2pchat {__version__}\n", 0))

    def test_help(self) -> None:
        """The help explains each option with its unit and its default, and the variables."""
        text = re.sub(r"\s+", " ", str(tap.Options()))
        parts = dict(re.findall(r"--([a-z-]+)= (.*?)(?= --[a-z-]+= | --help|$)", text))
        self.assertEqual(set(parts), set(HELP))
        for option, words in HELP.items():
            for word in words:
                self.assertIn(word, parts[option])
        self.assertIn("P2PCHAT_NAME for --name and so on; the command line wins", text)


class RendezvousTests(ProgramTestCase):
    def test_authority(self) -> None:
        """Who may sign for the rendezvous is read from a file, and of use only where it is asked over TLS."""
        path = self.folder / "ca.pem"
        path.write_bytes(Authority().pem)
        words = ("--rendezvous-ca", str(path))
        settings = self.peer("--rendezvous", "tls:h:443", *words).settings
        self.assertEqual(settings.rendezvous_authority, path.read_bytes())
        self.end_programs()
        for others in ((), ("--rendezvous", "h:443"), ("--rendezvous", "none")):
            told = self.refused("-n", "p2pchat", "--name", "bob", *others, *words)
            self.assertEqual(
                told, "--rendezvous-ca: the rendezvous is not asked over TLS; write tls:HOST:PORT"
            )


class KeysTests(ProgramTestCase):
    def test_identity(self) -> None:
        """The first start makes a key, in a folder of each peer's own; the next one has the same."""
        first = self.peer().own_keys.identity
        self.end_programs()
        self.assertEqual(self.peer().own_keys.identity.key, first.key)
        self.assertEqual(first.own, "alice@lobby")
        place = self.data / "p2pchat" / "lobby" / "alice"
        self.assertEqual({path.name for path in place.iterdir()}, {"identity.json", "peers.sqlite"})
        self.assertNotEqual(self.peer(name="bob").own_keys.identity.key, first.key)

    def test_given_folder(self) -> None:
        """Keys are in the folder that was given, with all else."""
        self.peer("--data-dir", str(self.folder / "data"))
        self.assertTrue((self.folder / "data" / "identity.json").exists())
        self.assertFalse(self.data.exists())

    def test_damaged(self) -> None:
        """A key or memory that is damaged, or that others may read, is refused with what to do."""
        self.peer()
        self.end_programs()
        place = self.data / "p2pchat" / "lobby" / "alice"
        identity, peers = place / "identity.json", place / "peers.sqlite"
        identity.chmod(0o644)
        self.assertIn(f"chmod 600 {identity}", self.refused("-n", "p2pchat", "--name", "alice"))
        self.end_programs()
        identity.chmod(0o600)
        peers.write_bytes(b"nonsense" * 1000)
        told = self.refused("-n", "p2pchat", "--name", "alice")
        self.assertIn(f"The file {peers} with the keys of others cannot be used", told)
        self.end_programs()
        identity.write_bytes(b"")
        self.assertIn("is damaged", self.refused("-n", "p2pchat", "--name", "alice"))

    def test_files(self) -> None:
        """The files of a closed group and a namespace key are read, or refused before anything is made."""
        allow, shared = self.folder / "allow", self.folder / "key"
        allow.write_text("bob@lobby")
        key = NamespaceKey.new("lobby", random_bytes_of("key"))
        write_secret(shared, key.to_bytes())
        keys = self.peer("--allow", str(allow), "--namespace-key", str(shared)).own_keys
        self.assertEqual(keys.rules.allowed, Allowed({PeerId("bob@lobby"): None}))
        self.assertEqual(keys.namespace_key, key)
        self.end_programs()
        for option in ("allow", "namespace-key"):
            words = ("-n", "p2pchat", "--name", "zoe", f"--{option}")
            self.assertIn("cannot be read (No such file", self.refused(*words, str(self.folder / "nothing")))
            self.assertIn("expected a file", self.refused(*words, "\0"))
        self.assertFalse((self.state / "p2pchat" / "lobby" / "zoe").exists())


class SettingsTests(ProgramTestCase):
    def test_shared_rendezvous(self) -> None:
        """The help names the rendezvous that is used."""
        self.assertEqual(str(settings.SHARED_RENDEZVOUS), "127.0.0.1:5000")
