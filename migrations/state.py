"""The schema of the state's file (see server/triggerfish/adapters/sqlite/state.py and reads.py)."""

from sqlite_utils.db import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("triggerfish.state")


@migrations()
def m001_progress(db: Database) -> None:
    # One row: how far the log and the agenda are decided. It changes in the transaction of what was decided.
    db.execute(
        """
        CREATE TABLE progress (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            position INTEGER NOT NULL,
            until INTEGER NOT NULL
        )
        """
    )
    db.execute("INSERT INTO progress VALUES (1, 0, 0)")
    db.execute("CREATE TABLE attempts (position INTEGER PRIMARY KEY, tries INTEGER NOT NULL)")
    db.execute("CREATE TABLE dead_letters (position INTEGER PRIMARY KEY, at INTEGER NOT NULL, cause TEXT NOT NULL)")


@migrations()
def m002_profiles(db: Database) -> None:
    # The agenda is a column and its index, not a table: the row is written anyway, and the two can never disagree.
    db.execute("CREATE TABLE profiles (id TEXT PRIMARY KEY, wake_at INTEGER, profile BLOB NOT NULL)")
    db.execute("CREATE INDEX agenda ON profiles (wake_at, id) WHERE wake_at IS NOT NULL")
    db.execute(
        """
        CREATE TABLE identities (
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            profile TEXT NOT NULL,
            PRIMARY KEY (kind, value)
        ) WITHOUT ROWID
        """
    )
    db.execute(
        """
        CREATE TABLE memberships (
            segment TEXT NOT NULL,
            profile TEXT NOT NULL,
            since INTEGER NOT NULL,
            PRIMARY KEY (segment, profile)
        ) WITHOUT ROWID
        """
    )


@migrations()
def m003_sends(db: Database) -> None:
    db.execute(
        """
        CREATE TABLE sends (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            profile TEXT NOT NULL,
            ruleset TEXT NOT NULL,
            rule TEXT NOT NULL,
            template TEXT NOT NULL,
            class TEXT NOT NULL,
            purpose TEXT NOT NULL,
            channel TEXT NOT NULL,
            status TEXT NOT NULL,
            reason TEXT NOT NULL,
            due_at INTEGER NOT NULL,
            sent_at INTEGER,
            attempt INTEGER NOT NULL,
            trigger BLOB
        )
        """
    )
    db.execute("CREATE INDEX sends_of ON sends (profile)")
    db.execute("CREATE INDEX sends_by_rule ON sends (ruleset, rule, status)")
    db.execute("CREATE INDEX outgoing ON sends (due_at) WHERE status IN ('due', 'retrying')")
    db.execute("CREATE INDEX in_flight ON sends (number) WHERE status = 'sending'")
    # What was heard of a send, once each: the results.
    db.execute("CREATE TABLE feedback (send TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (send, name)) WITHOUT ROWID")


@migrations()
def m004_moments(db: Database) -> None:
    db.execute(
        """
        CREATE TABLE moments (
            id INTEGER PRIMARY KEY,
            profile TEXT NOT NULL,
            at INTEGER NOT NULL,
            kind TEXT NOT NULL,
            position INTEGER NOT NULL,
            body TEXT NOT NULL
        )
        """
    )
    # The id is in the index too, so a person's timeline comes in order.
    db.execute("CREATE INDEX moments_of ON moments (profile)")


@migrations()
def m005_fitted(db: Database) -> None:
    # What the profiles are fitted to: which activities they remember, and what segments and calendar asked for.
    db.execute("CREATE TABLE fitted (kind TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID")


@migrations()
def m006_health(db: Database) -> None:
    # What rules come to, by day: written in the transaction of what it counts, so that it is never off.
    db.execute(
        """
        CREATE TABLE rule_days (
            ruleset TEXT NOT NULL,
            rule TEXT NOT NULL,
            day INTEGER NOT NULL,
            kind TEXT NOT NULL,
            outcome TEXT NOT NULL,
            count INTEGER NOT NULL,
            last_at INTEGER NOT NULL,
            PRIMARY KEY (ruleset, rule, day, kind, outcome)
        ) WITHOUT ROWID
        """
    )
    db.execute(
        """
        INSERT INTO rule_days
        SELECT substr(rule, 1, instr(rule, ' / ') - 1), substr(rule, instr(rule, ' / ') + 3), day, kind, outcome,
            count(*), max(at)
        FROM (SELECT body ->> '$.rule' AS rule, at / 86400000 AS day, kind, at,
                coalesce(body ->> '$.outcome', body ->> '$.status') AS outcome
            FROM moments WHERE kind IN ('decision', 'send'))
        WHERE instr(rule, ' / ') > 0 AND outcome IS NOT NULL
        GROUP BY rule, day, kind, outcome
        """
    )
    db.execute(
        """
        CREATE TABLE rule_times (
            ruleset TEXT NOT NULL,
            rule TEXT NOT NULL,
            day INTEGER NOT NULL,
            samples INTEGER NOT NULL,
            nanoseconds INTEGER NOT NULL,
            PRIMARY KEY (ruleset, rule, day)
        ) WITHOUT ROWID
        """
    )
    # Which rulebook decided from where on: what it takes to decide the same again.
    db.execute(
        """
        CREATE TABLE reigns (
            number INTEGER PRIMARY KEY,
            position INTEGER NOT NULL,
            until INTEGER NOT NULL,
            version TEXT NOT NULL
        )
        """
    )


@migrations()
def m008_calls(db: Database) -> None:
    # What is due may be a plugin's action instead of a message: its name, and the values that it is given.
    db.execute("ALTER TABLE sends ADD COLUMN call TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE sends ADD COLUMN data BLOB")
    db.execute("CREATE INDEX calls ON sends (call, due_at) WHERE call != '' AND status IN ('due', 'retrying')")


@migrations()
def m009_outgoing(db: Database) -> None:
    # Which of two that are due leaves first, with which others it stands in line, whom it was handed over for, and
    # which messages became part of it.
    db.execute("ALTER TABLE sends ADD COLUMN priority INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE sends ADD COLUMN lane TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE sends ADD COLUMN address TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE sends ADD COLUMN also BLOB")


@migrations()
def m010_instructions(db: Database) -> None:
    # What people told the server (instructions.py). An address that begins with @ is a whole domain.
    db.execute(
        """
        CREATE TABLE suppressions (
            address TEXT NOT NULL,
            purpose TEXT NOT NULL,
            reason TEXT NOT NULL,
            note TEXT NOT NULL,
            given_by TEXT NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (address, purpose)
        ) WITHOUT ROWID
        """
    )
    db.execute(
        """
        CREATE TABLE holds (
            ruleset TEXT NOT NULL,
            rule TEXT NOT NULL,
            reason TEXT NOT NULL,
            given_by TEXT NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (ruleset, rule)
        ) WITHOUT ROWID
        """
    )


@migrations()
def m012_lanes(db: Database) -> None:
    # Since when a message is due, however often it was put off; when it was handed over last, counted for caps by
    # profile; whether its channel may have it, so that no other one gets it.
    db.execute("ALTER TABLE sends ADD COLUMN since INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE sends ADD COLUMN handed_at INTEGER")
    db.execute("ALTER TABLE sends ADD COLUMN tied INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "UPDATE sends SET handed_at = coalesce(sent_at, due_at) WHERE status IN ('sent', 'sending', 'uncertain')"
    )
    db.execute("CREATE INDEX handed ON sends (profile, handed_at) WHERE handed_at IS NOT NULL")
    # Each lane by itself in the order in which its messages leave; a rule's in the order in which they are due.
    db.execute("DROP INDEX outgoing")
    db.execute(
        """
        CREATE INDEX lanes ON sends (lane, due_at, priority DESC)
        WHERE call = '' AND status IN ('due', 'retrying')
        """
    )
    db.execute(
        """
        CREATE INDEX rule_queue ON sends (ruleset, rule, due_at) WHERE call = '' AND status IN ('due', 'retrying')
        """
    )
    # What was handed over, written with the mark: by channel and day for warming up, by rule and hour for the guard.
    db.execute(
        """
        CREATE TABLE channel_days (
            channel TEXT NOT NULL,
            day INTEGER NOT NULL,
            handed INTEGER NOT NULL,
            PRIMARY KEY (channel, day)
        ) WITHOUT ROWID
        """
    )
    db.execute(
        """
        CREATE TABLE rule_hours (
            ruleset TEXT NOT NULL,
            rule TEXT NOT NULL,
            hour INTEGER NOT NULL,
            handed INTEGER NOT NULL DEFAULT 0,
            complained INTEGER NOT NULL DEFAULT 0,
            bounced INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (ruleset, rule, hour)
        ) WITHOUT ROWID
        """
    )
    db.execute(
        """
        INSERT INTO rule_hours (ruleset, rule, hour, handed)
        SELECT ruleset, rule, handed_at / 3600000, count(*) FROM sends
        WHERE call = '' AND class = 'marketing' AND handed_at IS NOT NULL GROUP BY 1, 2, 3
        """
    )
    # Why the guard held a rule last, and how large it was then: once released, it may be as large again.
    db.execute(
        """
        CREATE TABLE alarms (
            ruleset TEXT NOT NULL,
            rule TEXT NOT NULL,
            kind TEXT NOT NULL,
            size INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (ruleset, rule, kind)
        ) WITHOUT ROWID
        """
    )


@migrations()
def m013_machines(db: Database) -> None:
    # Whether a human, most likely, opened or clicked. Of what is there nobody can tell any more: it stays counted.
    db.execute("ALTER TABLE feedback ADD COLUMN is_human INTEGER NOT NULL DEFAULT 1")


@migrations()
def m011_hours(db: Database) -> None:
    # What everybody's opens and clicks weigh by the hour of their day, in thousandths of a surely human one.
    db.execute("CREATE TABLE hours (hour INTEGER PRIMARY KEY, weight INTEGER NOT NULL)")


@migrations()
def m016_timelines(db: Database) -> None:
    # What one batch told of one person is one row, which goes by the number of its last line.
    db.execute("CREATE TABLE timelines (last INTEGER PRIMARY KEY, profile TEXT NOT NULL, lines TEXT NOT NULL)")
    db.execute(
        """
        INSERT INTO timelines
        SELECT id, profile, json_array(json_array(id, at, kind, position, json(body))) FROM moments ORDER BY id
        """
    )
    db.execute("CREATE INDEX timelines_of ON timelines (profile)")
    db.execute("DROP TABLE moments")
    db.execute(
        """
        CREATE VIEW moments AS
        SELECT value ->> 0 AS id, profile, value ->> 1 AS at, value ->> 2 AS kind, value ->> 3 AS position,
            value -> 4 AS body
        FROM timelines, json_each(lines)
        """
    )


@migrations()
def m017_counts(db: Database) -> None:
    # What pages and metrics ask for however much there is, written with what it counts. '' stands for everybody.
    db.execute("CREATE TABLE headcounts (segment TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID")
    db.execute("INSERT INTO headcounts SELECT '', count(*) FROM profiles")
    db.execute("INSERT INTO headcounts SELECT segment, count(*) FROM memberships GROUP BY segment")
    # What was heard of a send is one number of its row: 1 delivered, 2 opened, 4 clicked, 8 unsubscribed, 16 bounced,
    # 32 complained; 64 opened and 128 clicked by a human, most likely.
    db.execute("ALTER TABLE sends ADD COLUMN heard INTEGER NOT NULL DEFAULT 0")
    db.execute(
        """
        UPDATE sends SET heard = told.bits FROM (
            SELECT send, sum(CASE name WHEN 'Email Delivered' THEN 1 WHEN 'Email Opened' THEN 2 + 64 * is_human
                WHEN 'Email Link Clicked' THEN 4 + 128 * is_human WHEN 'Unsubscribed' THEN 8
                WHEN 'Email Bounced' THEN 16 WHEN 'Email Marked as Spam' THEN 32 ELSE 0 END) AS bits
            FROM feedback GROUP BY send
        ) AS told WHERE told.send = sends.id
        """
    )
    db.execute("DROP TABLE feedback")
    db.execute(
        """
        CREATE TABLE tallies (
            ruleset TEXT NOT NULL,
            rule TEXT NOT NULL,
            status TEXT NOT NULL,
            heard INTEGER NOT NULL,
            count INTEGER NOT NULL,
            PRIMARY KEY (ruleset, rule, status, heard)
        ) WITHOUT ROWID
        """
    )
    db.execute("INSERT INTO tallies SELECT ruleset, rule, status, heard, count(*) FROM sends GROUP BY 1, 2, 3, 4")
    # The status has left the index of rules, which no message then changes on its way; who had what, and when, is one
    # index instead of two. Messages that did not leave, for their reasons, stand in an order of their own.
    db.execute("DROP INDEX sends_by_rule")
    db.execute("CREATE INDEX sends_by_rule ON sends (rule, ruleset)")
    db.execute("DROP INDEX handed")
    db.execute("DROP INDEX sends_of")
    db.execute("CREATE INDEX sends_of ON sends (profile, handed_at)")
    db.execute("CREATE INDEX unsent ON sends (number) WHERE status IN ('skipped', 'failed', 'uncertain')")


@migrations()
def m018_handed(db: Database) -> None:
    # One index for both was dearer: it changed with each step of a message, and not only when that is handed over.
    db.execute("DROP INDEX sends_of")
    db.execute("CREATE INDEX sends_of ON sends (profile)")
    db.execute("CREATE INDEX handed ON sends (profile, handed_at) WHERE handed_at IS NOT NULL")
