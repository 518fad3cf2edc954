"""The line protocol between a benchmark and its peer process: a JSON object a line, one answer for each request."""

import json
import os
import sys
import time


def peak_bytes():
    """The most memory this process ever held."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def serve(prepare):
    """`prepare(case)` gives a function without arguments; every `run` request times one call of it, which says what came out,
    or gives a function that does, which is called when the clock has stopped. What the function has as its attribute `allocated`
    is the most bytes that its tensors held; one that does its work several times says so in `calls`, by which the time is divided.

    Anything that libraries print goes to stderr, so that stdout carries answers only.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "prepare":
                run = prepare(request["case"])
                answer = {}
            elif request["do"] == "run":
                started = time.perf_counter()
                outcome = run()
                seconds = (time.perf_counter() - started) / getattr(run, "calls", 1)
                answer = {"seconds": seconds, "outcome": outcome() if callable(outcome) else outcome}
            elif request["do"] == "memory":
                allocated = getattr(run, "allocated", None)
                answer = {"bytes": peak_bytes(), **({"allocated": allocated} if allocated else {})}
            else:
                raise ValueError(f"unknown request {request['do']!r}")
        except Exception as error:  # the benchmark shows it and stops
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
