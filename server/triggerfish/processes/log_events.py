"""Everything that the server's own log says: the sentence, as it stands in the code, its stable name, and the names of
the values in it. Sentences are for people and may be put better; names are for programs and stay.

A test holds this table to the code.
"""

from __future__ import annotations

from collections.abc import Mapping

EVENTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    # The supervisor.
    "the worker process ended with %s; starting it again": ("worker.ended", ("ending",)),
    "the api process ended with %s; starting it again": ("api.ended", ("ending",)),
    "the %s process did not stop in %d s and is killed": ("process.killed", ("process_name", "seconds")),
    "the worker is not well: %s": ("worker.unwell", ("why",)),
    "the worker hangs, and is ended: %s": ("worker.hung", ("why",)),
    "the worker is well again": ("worker.well", ()),
    "not started again: %s; trying once more in %.1f s": ("process.not_started", ("why", "seconds")),
    "the changed rulebook is live: version %s": ("rulebook.live", ("version",)),
    "the changed rulebook is not used: %s": ("rulebook.refused", ("why",)),
    "wrong in the changed rulebook: %s": ("rulebook.problem", ("problem",)),
    "this version of the rulebook is live but cannot be kept: %s": ("rulebook.not_kept", ("why",)),
    "the state of the rulebook cannot be noted: %s": ("rulebook.not_noted", ("why",)),
    "%s cannot be written, so the next load takes longer: %s": ("rulebook.cache_not_kept", ("path", "why")),
    "backup: %s": ("backup.taken", ("path",)),
    "no backup was taken: %s; trying again in an hour": ("backup.failed", ("why",)),
    "%s is passed over: %s": ("versions.passed_over", ("path", "why")),
    "version %s is passed over: %s": ("versions.passed_over", ("version", "why")),
    "%s is held by another process for long; going on without it": ("versions.held", ("path",)),
    # The worker.
    "the worker cannot begin: %s": ("worker.cannot_begin", ("why",)),
    "the worker waits: %s": ("worker.waits", ("why",)),
    "people are fitted to what the rulebook asks for": ("worker.fitted", ()),
    "%d messages were with the channel when the worker stopped; each says what became of it": (
        "worker.recovered", ("messages",)
    ),
    "a batch could not be decided; it is taken one by one": ("batch.failed", ()),
    "what was to be decided at position %d of the log cannot be decided": ("event.failed", ("position",)),
    "event %d was put aside: %s": ("event.dead_letter", ("position", "why")),
    "profile %s was taken off the agenda: %s": ("profile.struck", ("profile", "why")),
    "send %s could not be composed": ("send.not_composed", ("send",)),
    "send %s broke off": ("send.broke_off", ("send",)),
    "%s / %s is held: %s; see `triggerfish holds`": ("rule.held", ("ruleset", "rule", "why")),
    # Plugins.
    "a plugin is passed over: %s": ("plugin.passed_over", ("why",)),
    'plugin "%s": hook %s raised%s': ("plugin.hook_raised", ("plugin", "hook", "muted")),
    "%s: send raised": ("plugin.raised", ("plugin",)),
    "%s: send broke its contract: %s": ("plugin.broke_contract", ("plugin", "fault")),
    "%s: send handed nothing over: %s": ("plugin.not_handed_over", ("plugin", "why")),
    "%s: send ran past its deadline of %g s": ("plugin.deadline", ("plugin", "seconds")),
    "%s: look_up ran past its deadline of %g s": ("plugin.deadline", ("plugin", "seconds")),
    "%s: look_up failed": ("plugin.raised", ("plugin",)),
    "%s: close failed": ("plugin.raised", ("plugin",)),
    "%s: send failed again and again; the channel rests": ("plugin.rests", ("plugin",)),
    "%s: a call that had been given up raised %s": ("plugin.raised_late", ("plugin", "why")),
    "%s: %s; it is started again in %g s": ("stream.ended", ("plugin", "why", "seconds")),
    "%s: run raised": ("stream.raised", ("plugin",)),
    'stream "%s": %s; it waits': ("stream.waits", ("stream", "why")),
    "listening to %s": ("stream.listens", ("mailbox",)),
    'source "%s": read failed': ("source.raised", ("source",)),
    'source "%s": verify failed: %s': ("source.not_verified", ("source", "why")),
    "[plugins.smtp] %s has %d bits; take a key of %d": ("smtp.short_key", ("name", "bits", "better")),
    # Mails that report.
    "a mail (%s) was not believed: %s": ("report.not_believed", ("kind", "why")),
    "a mail could not be read": ("report.not_read", ()),
    "a mail was refused: %s": ("report.refused", ("why",)),
    "a mail counts as unsigned: %s": ("report.unsigned", ("why",)),
    "a DKIM signature cannot be checked: %s": ("report.signature", ("why",)),
    # The web and the stores.
    "answered %s: %s": ("http.failed", ("status", "why")),
    "answered %s": ("http.failed", ("status",)),
    "answered 500": ("http.failed", ()),
    "a wish (%s) could not be stored; the person was asked to try again": ("wish.not_stored", ("kind",)),
    "an event %r of send %s was not recorded: %s": ("hit.not_stored", ("kind", "send", "why")),
    "%s cannot be used: %s (%s): %s": ("store.trouble", ("path", "what", "name", "remedy")),
    "%s can be used again, after %.0f s and %d tries": ("store.well", ("path", "seconds", "tries")),
    # Anything else.
    "nobody caught an exception": ("uncaught", ()),
}  # fmt: skip
