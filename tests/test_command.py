"""The command ``p2pchat``, and of its commands ``simulate`` and ``replay``."""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
from twisted.logger import globalLogBeginner
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

import p2pchat
from p2pchat.command import INTERRUPTED, WRONG, Options, console_script
from p2pchat.simulate_command import BROKEN, MAX_PEERS, SimulateOptions, decimal
from p2pchat.simulation.plan import MIXED, Plan
from p2pchat.simulation.simulation import Simulation
from p2pchat.simulation.topology import Topology
from tests.simulation.towns import Terminal, run

SMALL = ("simulate", "--peers", "3", "--minutes", "2", "--topology", "full", "--messages", "20")


class SimulateOptionsTests(SynchronousTestCase):
    def plan(self, *words: str) -> Plan:
        """Return what some words simulate."""
        options = SimulateOptions()
        options.parseOptions(words)
        return options.plan

    def test_defaults(self) -> None:
        """Without options, it is the plan that has none."""
        self.assertEqual(self.plan(), Plan())

    def test_every_option(self) -> None:
        """There is an option for everything that makes up a plan, and each is read as what it is."""
        given: dict[str, tuple[str, Any]] = {
            "peers": ("5000", 5000),
            "seed": ("0", 0),
            "minutes": ("2.5", 2.5),
            "topology": ("nat:0.5", Topology("nat", 0.5)),
            "messages": ("0", 0.0),
            "casts": ("1e3", 1000.0),
            "churn": ("1", 1.0),
            "power-cuts": ("5", 5.0),
            "absences": ("0.1", 0.1),
            "keepers": ("0.75", 0.75),
            "leavers": ("0.3", 0.3),
            "loss-of-links": ("2", 2.0),
            "partition": ("0.5", 0.5),
            "outage": ("3", 3.0),
            "clock-jumps": ("4", 4.0),
            "bad-connects": ("1", 1.0),
            "slow": ("0.25", 0.25),
            "keyless": ("0.5", 0.5),
            "liars": ("flooder:0.2,0.1", (("flooder", 0.2), ("any", 0.1))),
        }
        fields = {name.replace("-", "_") for name in given}
        self.assertEqual(fields, {field.name for field in attrs.fields(Plan)})
        words = [word for name, (text, _) in given.items() for word in (f"--{name}", text)]
        wanted = {name.replace("-", "_"): value for name, (_, value) in given.items()}
        self.assertEqual(self.plan(*words), Plan(**wanted))
        for name, (text, value) in given.items():
            field = name.replace("-", "_")
            self.assertEqual(self.plan(f"--{name}", text), Plan(**{field: value}))

    def test_mixed(self) -> None:
        """With mixed faults there is every kind; what is given besides counts, before it and behind it."""
        self.assertEqual(self.plan("--mixed"), MIXED)
        for words in (["--mixed", "--churn", "0", "--seed", "9"], ["--churn", "0", "--seed", "9", "--mixed"]):
            self.assertEqual(self.plan(*words), attrs.evolve(MIXED, churn=0.0, seed=9))

    def test_shortest(self) -> None:
        """The shortest run has two minutes: the faults, and the calm."""
        for minutes, seconds in (("0.5", 120.0), ("2", 120.0), ("3", 180.0)):
            self.assertEqual(self.plan("--minutes", minutes).seconds, seconds)

    def test_decimal(self) -> None:
        """A number is read between the least and the most, those included."""
        parse = decimal(0.5, 10)
        self.assertEqual([parse(text) for text in ("0.5", "10", " 2 ", "1e0")], [0.5, 10.0, 2.0, 1.0])
        for text in ("0.49", "10.1", "", "x", "nan", "inf", "1,5", "é"):
            problem = self.assertRaises(ValueError, parse, text)
            self.assertEqual(str(problem), f"expected a number from 0.5 to 10, got {text!a}")


class WrongOptionTests(SynchronousTestCase):
    def assert_wrong(self, words: list[str], *expected: str) -> None:
        """Assert that some words are refused, with a message that holds some texts, and nothing is done."""
        self.patch(Simulation, "run", lambda *_given: self.fail("nothing may be simulated"))
        status, out, err = run(*words)
        self.assertEqual((status, out), (WRONG, ""), words)
        for text in (*expected, "\nTry: p2pchat --help\n"):
            self.assertIn(text, err)
        self.assertTrue(err.startswith("p2pchat: "), err)

    def test_values(self) -> None:
        """A wrong value is named with its option, and with what would be right."""
        rate, share = "expected a number from 0 to 10000", "expected a number from 0 to 1"
        topology = "expected one of random, line, ring, star, full or nat:0.3"
        for name, wrong, expected in (
            ("peers", ("0", str(MAX_PEERS + 1), "x", "1.5", ""), "expected a whole number from 1 to 5000"),
            ("seed", ("-1", "1000000000", "x"), "expected a whole number from 0 to 999999999"),
            ("minutes", ("-1", "100001", "x", "nan", ""), "expected a number from 0 to 100000"),
            ("topology", ("mesh", "", "ring:1"), topology),
            ("topology", ("nat:2", "nat:x"), "expected a share from 0 to 1 behind nat:"),
            ("liars", ("x:1", "1", ""), "expected a share below 1, or KIND:SHARE with one of black-hole, "),
            ("liars", ("0.6,0.6",), "there must be honest peers left"),
            *((name, ("-1", "10001", "x", "inf", ""), rate) for name in ("messages", "casts", "churn")),
            *((name, ("-1", "10001", "x"), rate) for name in ("loss-of-links", "partition", "outage")),
            ("clock-jumps", ("-1", "x"), rate),
            *((name, ("-0.1", "1.1", "x", ""), share) for name in ("bad-connects", "slow", "keyless")),
        ):
            for value in wrong:
                words = ["simulate", f"--{name}={value}"]
                got = () if "honest" in expected else (f"got {value.removeprefix('nat:')!a}",)
                if name == "topology" and "behind" not in expected:
                    got = (f"got {value!a}",)
                self.assert_wrong(words, f"--{name}: ", expected, *got)

    def test_times_of_a_replay(self) -> None:
        """A wrong time is named with its option, and with what would be right."""
        for name in ("from", "until"):
            for value in ("-1", "x", "", "nan"):
                words = ["replay", "file", f"--{name}={value}"]
                self.assert_wrong(words, f"--{name}: expected a number from 0 to 1e+09, got {value!a}")

    def test_no_command(self) -> None:
        """Without a command, or with another one, it is said which there are."""
        self.assert_wrong([], "expected a command: status, doctor, attach, send, events, export, simulate")
        self.assert_wrong(["dance"], "dance")

    def test_unknown(self) -> None:
        """An option that there is not, or one without its value, is named."""
        for command_name in ("simulate", "replay"):
            self.assert_wrong([command_name, "--loud"], "loud")
        self.assert_wrong(["simulate", "--peers"], "peers")
        self.assert_wrong(["--loud"], "loud")

    def test_words_too_many(self) -> None:
        """A word that belongs to no option is refused by its name, as where somebody forgot the dashes."""
        self.assert_wrong(["simulate", "peers", "20"], "peers")

    def test_files(self) -> None:
        """A replay is of one file."""
        self.assert_wrong(["replay"], "expected one file, got 0")
        self.assert_wrong(["replay", "one", "other"], "expected one file, got 2")
        self.assert_wrong(["replay", "--step"], "expected one file, got 0")

    def test_any_bytes(self) -> None:
        """Bytes that are no text, as a shell may pass them, can be refused in any message."""
        for words in (["simulate", "--peers", "\udcff"], ["simulate", "--\udcff"], ["\udcff"]):
            status, _, err = run(*words)
            self.assertEqual(status, WRONG)
            err.encode("utf-8")


class SimulateTests(SynchronousTestCase):
    def test_text(self) -> None:
        """What came of it is printed for people; the exit status says that all held."""
        status, out, err = run(*SMALL)
        self.assertEqual((status, err), (0, ""))
        self.assertTrue(out.startswith("p2pchat simulate --peers 3 --seed 1 --minutes 2 --topology full "))
        self.assertTrue(out.endswith("\n\nAll invariants held.\n"))

    def test_json(self) -> None:
        """For programs one object is printed, on one line, and nothing else."""
        status, out, err = run(*SMALL, "--json")
        self.assertEqual((status, err, out.count("\n")), (0, "", 1))
        found = json.loads(out)
        keys = ("sent", "confirmed", "failed", "shown_twice", "lost", "violations")
        counted = {key: found[key] for key in keys}
        self.assertGreater(counted["sent"], 5)
        self.assertEqual(
            counted,
            {
                "sent": counted["sent"],
                "confirmed": counted["sent"],
                "failed": 0,
                "shown_twice": 0,
                "lost": 0,
                "violations": [],
            },
        )

    def test_garbage(self) -> None:
        """While it runs, Python looks for garbage seldom; afterwards as before."""
        before, within = gc.get_threshold(), []
        self.patch(Simulation, "run", lambda *_given: within.append(gc.get_threshold()))
        run(*SMALL)
        self.assertGreater(within[0][0], 50_000)
        self.assertEqual(gc.get_threshold(), before)

    def test_broken(self) -> None:
        """Where an invariant broke, the exit status says so, for people and for programs."""

        def simulate_badly(simulation: Simulation, _progress: object) -> None:
            simulation.violated("shown once", "m1 again")

        self.patch(Simulation, "run", simulate_badly)
        self.assertEqual(run(*SMALL)[0], BROKEN)
        status, out, _ = run(*SMALL, "--json")
        self.assertEqual((status, json.loads(out)["violations"][0]["rule"]), (BROKEN, "shown once"))

    def test_bar(self) -> None:
        """Where somebody looks, it is shown how far it is, and how fast."""
        terminal = Terminal()
        self.assertEqual(run(*SMALL, err=terminal)[0], 0)
        shown = terminal.getvalue()
        self.assertIn("2.0 of 2 simulated minutes", shown)
        self.assertRegex(shown, r"\d+ lines/s")
        self.assertRegex(shown, r"100 %")

    def test_no_bar(self) -> None:
        """Where nobody looks, there is no bar, and the same is printed."""
        self.assertEqual(run(*SMALL)[1:], (run(*SMALL, err=Terminal())[1], ""))

    def test_interrupted(self) -> None:
        """Who interrupts it gets no traceback."""

        def interrupt(*_given: object) -> None:
            raise KeyboardInterrupt

        self.patch(Simulation, "run", interrupt)
        self.assertEqual(run(*SMALL), (INTERRUPTED, "", "p2pchat: interrupted\n"))


class ConsoleScriptTests(SynchronousTestCase):
    def test_exits(self) -> None:
        """The program exits with the status of what it did, and logs nothing to the terminal."""
        began: list[object] = []
        self.patch(globalLogBeginner, "beginLoggingTo", lambda observers, **_more: began.append(observers))
        self.patch(sys, "argv", ["p2pchat", "dance"])
        self.patch(sys, "stderr", io.StringIO())
        self.assertEqual(self.assertRaises(SystemExit, console_script).code, WRONG)
        self.assertEqual(began, [[]])

    def test_nothing_heavy(self) -> None:
        """Who sends a message does not wait for what only a simulation or a node needs."""
        words = "import sys; from p2pchat.command import main; main(['status', 'x'], sys.stdout, sys.stdout)"
        heavy = {"p2pchat.node", "p2pchat.simulation", "tqdm", "twisted.internet.reactor"}
        tell = f"print({heavy} & {{*sys.modules}})"
        environment = os.environ | {"PYTHONPATH": str(Path(p2pchat.__file__).parent.parent)}
        told = subprocess.run(
            [sys.executable, "-c", f"{words}; {tell}"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(told.stdout.splitlines()[-1], "set()")

    def test_commands(self) -> None:
        """Each command of the list is there, and has a help of its own, in our words only."""
        for name, _, make, _ in Options.subCommands:
            text = make().getUsage()
            self.assertIn("--help", text, name)
            self.assertNotIn("[default: ]", text, name)

    def test_help(self) -> None:
        """Help names every option with its range."""
        text = SimulateOptions().getUsage()
        for field in attrs.fields(Plan):
            self.assertIn(f"--{field.name.replace('_', '-')}=", text)
        self.assertIn("1 to 5000", text)
        self.assertTrue(issubclass(UsageError, Exception))
