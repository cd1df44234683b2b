"""Answers whoever writes to a peer that runs: python echo_bot.py alice. Needs p2pchat on the PATH."""

import json
import subprocess
import sys

name = sys.argv[1]
events = ["p2pchat", "events", name, "--json", "--kinds", "message_arrived"]
with subprocess.Popen(events, stdout=subprocess.PIPE, text=True) as feed:
    for line in feed.stdout:
        said = json.loads(line)["data"]
        if not said["is_cast"]:  # two bots would never stop to answer each other in a namespace
            answer = ["p2pchat", "send", name, f"@{said['src']}", "--", f"you said: {said['payload']}"]
            subprocess.run(answer, check=False)
