from hypothesis import settings

# Deterministic: the same examples in every run. No deadline: a slow machine is no defect.
settings.register_profile("house", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile("house")
