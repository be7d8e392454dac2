"""A change goes live only when the workspace's own tests pass with it."""

from __future__ import annotations

from running import refuse, serving, wait_until, write_rules, write_workspace

RULES = """
    ruleset: greeting
    rules:
      - name: hello
        on: Hello
        wait: 10 minutes
        then: [send: hello]
"""
TESTS = """
    tests:
      - name: a greeting comes after ten minutes
        profile: {traits: {email: ana@example.com}}
        events:
          - {at: 0m, event: Hello}
        expect:
          - {at: 9m, sends: []}
          - {at: 10m, sends: [hello]}
"""


def workspace(folder, rules=RULES, tests=TESTS, more_settings=""):
    files = {"greeting.yaml": rules, "greeting.test.yaml": tests}
    return write_workspace(folder / "shop", files, more_settings=more_settings, hello="marketing")


def state(server):
    return server.get("/v1/rulebook")["state"]


def version(server):
    return server.get("/v1/rulebook")["version"]


def test_a_change_that_fails_its_tests_is_refused_like_a_broken_one(tmp_path):
    with serving(workspace(tmp_path)) as server:
        before = version(server)
        write_rules(server.workspace, "greeting.yaml", RULES.replace("10 minutes", "20 minutes"))
        wait_until(lambda: state(server) == "broken", "the failing test")
        rulebook = server.get("/v1/rulebook")
        assert rulebook["version"] == before
        assert "the rulebook has 1 problem" in rulebook["error"]
        (problem,) = rulebook["problems"]
        assert (problem["path"], problem["line"], problem["code"]) == ("rules/greeting.test.yaml", 8, "TF639")
        assert "expected hello; it was nothing" in problem["sentence"]
        assert 'in test "a greeting comes after ten minutes"' in problem["text"]
        page = server.http.get("/rulebook", headers={"Authorization": "Bearer admin-key-of-the-tests"})
        assert "the test fails at" in page.text

        # The test was wrong, not the rule: what is mended is the test file, and that is a change, too.
        tests = TESTS.replace("at: 10m, sends", "at: 20m, sends").replace("at: 9m", "at: 19m")
        write_rules(server.workspace, "greeting.test.yaml", tests)
        wait_until(lambda: state(server) == "live", "the mended test")
        assert version(server) != before
        assert server.get("/v1/rulebook")["problems"] == []


def test_a_test_file_that_cannot_be_read_is_shown_at_its_place(tmp_path):
    with serving(workspace(tmp_path)) as server:
        write_rules(server.workspace, "greeting.test.yaml", TESTS.replace("sends: [hello]", "snds: [hello]"))
        wait_until(lambda: state(server) == "broken", "the broken test file")
        (problem,) = server.get("/v1/rulebook")["problems"]
        assert (problem["path"], problem["line"]) == ("rules/greeting.test.yaml", 8)
        assert "snds" in problem["sentence"]


def test_a_server_does_not_start_with_rules_that_fail_their_tests(tmp_path):
    code, said = refuse(workspace(tmp_path, rules=RULES.replace("10 minutes", "20 minutes")))
    assert code == 1
    assert "rules/greeting.test.yaml:8:" in said
    assert "TF639" in said


def test_tests_can_be_left_out_and_a_version_that_was_live_is_not_tested_again(tmp_path):
    failing = RULES.replace("10 minutes", "20 minutes")
    shop = workspace(tmp_path, rules=failing, more_settings="[rules]\ntest_on_reload = false\n")
    with serving(shop) as server:
        assert state(server) == "live"
        worker = server.child("worker")
        assert server.kill("worker") != worker
    settings = shop / "triggerfish.toml"
    settings.write_text(settings.read_text().replace("test_on_reload = false", "test_on_reload = true"))
    with serving(shop) as server:
        assert state(server) == "live", "it was live before: an upgrade or a restart must not stop the server"
        write_rules(server.workspace, "more.yaml", "policy: {time_zone: UTC}\n")
        wait_until(lambda: state(server) == "broken", "the failing test")
