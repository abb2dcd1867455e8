"""The registry as controllers and node use it."""

import asyncio

import pytest

from devcluster.errors import AlreadyExists, Conflict, Expired, Forbidden, Invalid, NotFound
from devcluster.journal import FileJournal
from devcluster.registry import Registry
from devcluster.store import Store


@pytest.fixture
def registry():
    registry = Registry()
    registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}, manager="test")
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "n"},
    }
    registry.create(account, manager="test")
    return registry


def config_map(name="c", **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "n"},
        "data": data,
    }


def pod(**spec):
    spec = {"containers": [{"name": "main", "image": "i:1"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": spec}


def test_what_is_handed_in_can_be_changed_afterwards(registry):
    obj = config_map(a="1")
    registry.create(obj, manager="test")
    obj["data"]["a"] = "2"
    assert registry.get("ConfigMap", "n", "c")["data"] == {"a": "1"}


def test_names_are_taken_once(registry):
    registry.create(config_map(), manager="test")
    with pytest.raises(AlreadyExists):
        registry.create(config_map(), manager="test")


def test_a_namespace_must_be_there(registry):
    obj = config_map()
    obj["metadata"]["namespace"] = "nowhere"
    with pytest.raises(NotFound):
        registry.create(obj, manager="test")


def test_an_invalid_object_is_refused(registry):
    with pytest.raises(Invalid):
        registry.create(config_map("Upper"), manager="test")


def test_an_update_from_an_old_state_is_refused(registry):
    old = registry.create(config_map(a="1"), manager="test")
    registry.update({**old, "data": {"a": "2"}}, manager="test")
    with pytest.raises(Conflict):
        registry.update({**old, "data": {"a": "3"}}, manager="test")


def test_an_update_that_changes_nothing_is_no_write(registry):
    old = registry.create(config_map(a="1"), manager="test")
    assert (
        registry.update(old, manager="test")["metadata"]["resourceVersion"]
        == old["metadata"]["resourceVersion"]
    )


def test_status_and_spec_are_written_apart(registry):
    created = registry.create(pod(), manager="test")
    registry.update(
        {**created, "spec": {}, "status": {"phase": "Running"}}, manager="node", subresource="status"
    )
    written = registry.update(
        {**created, "metadata": {"name": "p", "namespace": "n"}, "status": {}}, manager="test"
    )
    assert (written["status"]["phase"], written["spec"]) == ("Running", created["spec"])


def test_a_pod_needs_its_service_account(registry):
    with pytest.raises(Forbidden, match='serviceaccount "other" not found'):
        registry.create(pod(serviceAccountName="other"), manager="test")


def test_an_unplaced_pod_goes_at_once(registry):
    registry.create(pod(), manager="test")
    registry.delete("Pod", "n", "p")
    assert registry.find("Pod", "n", "p") is None


def test_a_placed_pod_goes_when_the_node_says_so(registry):
    registry.create(pod(nodeName="node", terminationGracePeriodSeconds=7), manager="test")
    registry.delete("Pod", "n", "p")
    assert registry.get("Pod", "n", "p")["metadata"]["deletionGracePeriodSeconds"] == 7
    registry.delete("Pod", "n", "p", grace_period_s=0)
    assert registry.find("Pod", "n", "p") is None


def test_a_second_delete_without_policy_keeps_what_the_first_asked_for(registry):
    registry.create(config_map(), manager="test")
    registry.delete("ConfigMap", "n", "c", propagation="Foreground")
    assert registry.get("ConfigMap", "n", "c")["metadata"]["finalizers"] == ["foregroundDeletion"]
    registry.remove_finalizer("ConfigMap", "n", "c", "foregroundDeletion")
    assert registry.find("ConfigMap", "n", "c") is None


def test_only_the_object_with_the_uid_is_deleted(registry):
    registry.create(config_map(), manager="test")
    with pytest.raises(Conflict):
        registry.delete("ConfigMap", "n", "c", uid="another")


def test_a_namespace_goes_with_its_last_finalizer(registry):
    registry.delete("Namespace", None, "n")
    assert registry.get("Namespace", None, "n")["status"]["phase"] == "Terminating"
    with pytest.raises(Forbidden):
        registry.create(config_map(), manager="test")
    registry.remove_finalizer("Namespace", None, "n", "kubernetes")
    assert registry.find("Namespace", None, "n") is None


def test_lists_are_in_order_and_by_label(registry):
    for name in ("b", "a", "c"):
        obj = config_map(name)
        obj["metadata"]["labels"] = {"odd": str(name == "b")}
        registry.create(obj, manager="test")
    assert [obj["metadata"]["name"] for obj in registry.list("ConfigMap", "n")] == ["a", "b", "c"]
    assert [obj["metadata"]["name"] for obj in registry.list("ConfigMap", labels={"odd": "True"})] == ["b"]


async def test_a_watch_tells_what_there_is_and_then_what_happens(registry):
    registry.create(config_map("a"), manager="test")
    events = registry.watch(["ConfigMap", "Pod"])
    told = [await anext(events)]
    registry.create(pod(), manager="test")
    registry.delete("ConfigMap", "n", "a")
    told += [await anext(events), await anext(events)]
    seen = [(event.type, event.object["metadata"]["name"]) for event in told]
    assert seen == [("ADDED", "a"), ("ADDED", "p"), ("DELETED", "a")]
    await events.aclose()


async def test_watches_end_when_the_server_stops(registry):
    events = registry.watch(["Node"])
    waiting = asyncio.ensure_future(anext(events, None))
    await asyncio.sleep(0)
    registry.store.end_subscriptions()
    assert await waiting is None


def test_history_is_bounded():
    store = Store(history_length=2)
    for number in range(4):
        store.put("ConfigMap", ("n", f"c{number}"), {"metadata": {"name": f"c{number}"}})
    assert [change.object["metadata"]["name"] for change in store.changes_since("ConfigMap", 3)] == [
        "c2",
        "c3",
    ]
    with pytest.raises(Expired):
        store.changes_since("ConfigMap", 1)


def open_registry(path):
    journal = FileJournal(path)
    registry = Registry(journal=journal)
    journal.load(registry.store)
    return registry, journal


def test_a_restart_finds_everything_again(tmp_path):
    path = tmp_path / "state.jsonl"
    before, journal = open_registry(path)
    before.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}, manager="test")
    before.create(config_map("kept", a="1"), manager="test")
    before.create(config_map("gone"), manager="test")
    before.delete("ConfigMap", "n", "gone")
    journal.close()
    after, journal = open_registry(path)
    assert [obj["metadata"]["name"] for obj in after.list("ConfigMap")] == ["kept"]
    assert after.get("ConfigMap", "n", "kept") == before.get("ConfigMap", "n", "kept")
    assert after.store.revision == before.store.revision
    with pytest.raises(Expired):
        after.store.changes_since("ConfigMap", 1)
    journal.close()


def test_a_torn_last_line_is_a_write_that_never_was(tmp_path):
    path = tmp_path / "state.jsonl"
    before, journal = open_registry(path)
    before.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}, manager="test")
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"op":"put","kind":"Confi')
    after, journal = open_registry(path)
    assert after.find("Namespace", None, "n") is not None
    journal.close()
