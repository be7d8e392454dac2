"""The processes behind `triggerfish serve`: a supervisor, one api process, one worker process.

The api process lets events in and answers reads; it never runs rules. The worker follows the log and sends. The
supervisor starts both, starts them again when they die, watches the rule files, and hands over to a fresh worker when
they change.
"""
