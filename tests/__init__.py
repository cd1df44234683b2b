import os

from hypothesis import settings

# The tests compare English, whatever who runs them speaks. Set before anything of p2pchat is imported.
os.environ["LANGUAGE"] = "en"

# Deterministic: the same examples in every run. No deadline: a slow machine is no defect.
settings.register_profile("house", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile("house")
