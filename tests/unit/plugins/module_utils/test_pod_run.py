# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the real cluster of the integration tests cannot be brought to: several nodes, newer conditions, lost answers."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _pod_run
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Caller
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.module_utils._kubernetes import Cluster, ClusterError
from ansible_collections.rightsize.whisper.plugins.module_utils._pod_owner import idle_target, keep
from ansible_collections.rightsize.whisper.plugins.module_utils._pod_run import GuaranteedRun
from jsonschema import Draft202012Validator

from tests.unit.factories import SCHEMA_FILE
from tests.unit.fake_api import FakeApi, refused
from tests.unit.fake_cluster import FakeCluster
from tests.unit.pods import RUN_ID, a_request, container_status, terminated

SCHEMA = Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))


class Bench:
    """A run against a cluster that is not real."""

    def __init__(self, folder: Path) -> None:
        self.cluster = FakeCluster()
        self.api = FakeApi(folder, self.cluster)
        self.kept = folder / "unrecorded"
        self.caller = Caller("")

    def run(self, **changes: Any) -> GuaranteedRun:
        cluster = Cluster(self.api.kubeconfig, "fake", lambda _unused: None)
        return GuaranteedRun(cluster, a_request(**changes), self.caller, str(self.kept))

    def files(self) -> list[str]:
        return sorted(path.name for path in self.kept.glob("*"))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(_pod_run, "TICK_SECONDS", 0.01)
    made = Bench(tmp_path)
    with made.api:
        yield made


def test_several_pods_on_distinct_nodes_give_one_result(bench: Bench) -> None:
    run = bench.run(pods=3)
    result = run.execute()
    SCHEMA.validate(result)
    assert (result["run_id"], result["iterations"]) == (RUN_ID, 150)
    assert [pod["node"] for pod in result["kubernetes"]["pods"]] == ["node-1", "node-2", "node-3"]
    assert result["kubernetes"]["server_version"] == "v1.37.0"
    assert bench.files() == [f"{RUN_ID}.json"]
    assert json.loads((bench.kept / f"{RUN_ID}.json").read_text()) == result
    assert (bench.cluster.pods, len(bench.cluster.deleted)) == ({}, 3)


def test_one_pod_that_fails_does_not_cost_the_results_of_the_others(bench: Bench) -> None:
    bench.cluster.statuses[2] = {"containerStatuses": terminated(4)}
    run = bench.run(pods=3)
    with pytest.raises(RunError, match="Pod 2 of 3: ") as caught:
        run.execute()
    assert caught.value.kind == "checkpoint"
    assert bench.files() == [f"{RUN_ID}-p1.json", f"{RUN_ID}-p3.json"]
    for entry in run.told["rescued"]:
        SCHEMA.validate(entry["result"])
    assert bench.cluster.pods == {}


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("PreemptionByScheduler", "preempted"),
        ("DeletionByTaintManager", "node_lost"),
        ("EvictionByEvictionAPI", "evicted"),
        ("TerminationByKubelet", "evicted"),
    ],
)
def test_who_ended_a_pod_is_told_by_newer_clusters(bench: Bench, reason: str, kind: str) -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "making room"}
    bench.cluster.statuses[1] = {"phase": "Failed", "conditions": [condition], "containerStatuses": terminated(137)}
    with pytest.raises(RunError, match="making room") as caught:
        bench.run().execute()
    assert caught.value.kind == kind


def test_a_create_whose_answer_is_lost_makes_one_pod(bench: Bench) -> None:
    bench.cluster.creates = [None]
    assert bench.run().execute()["run_id"] == RUN_ID
    assert [asked.method for asked in bench.api.asked if asked.path.endswith("/pods")].count("POST") == 2
    assert len(bench.cluster.deleted) == 1


def test_a_rehearsal_makes_nothing(bench: Bench) -> None:
    [asked], [made] = bench.run().rehearse()
    assert made["spec"] == asked["spec"]
    assert made["status"]["qosClass"] == "Guaranteed"
    assert bench.cluster.pods == {}


def test_a_run_id_that_is_taken_is_refused(bench: Bench) -> None:
    _asked, [other] = bench.run().rehearse()
    other["metadata"]["labels"]["whisper.rightsize.io/owner"] = "f" * 32
    name = other["metadata"]["name"]
    bench.cluster.pods = {name: other}
    with pytest.raises(RunError, match="of somebody else; give another run_id") as caught:
        bench.run().execute()
    assert caught.value.kind == "run_id_taken"
    assert list(bench.cluster.pods) == [name]


def test_pod_security_is_quoted(bench: Bench) -> None:
    words = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)'
    bench.cluster.creates = [refused(403, words)]
    with pytest.raises(ClusterError, match="restricted:latest") as caught:
        bench.run().execute()
    assert caught.value.kind == "pod_security"


def test_a_second_pod_that_is_refused_costs_the_first(bench: Bench) -> None:
    bench.cluster.creates = [refused(201), refused(403, 'pods "x" is forbidden: exceeded quota: small')]
    with pytest.raises(ClusterError) as caught:
        bench.run(pods=2).execute()
    assert caught.value.kind == "quota_exceeded"
    assert (bench.cluster.pods, len(bench.cluster.deleted)) == ({}, 1)


def test_pods_of_different_work_are_not_combined(bench: Bench) -> None:
    documents = bench.cluster.document

    def other_work(pod: dict[str, Any]) -> bytes:
        result = json.loads(documents(pod))
        if pod["metadata"]["labels"]["whisper.rightsize.io/pod"] == "2":
            result["checkpoint"]["sha256"] = "0" * 64
        return json.dumps(result).encode()

    bench.cluster.document = other_work  # type: ignore[method-assign]
    with pytest.raises(RunError, match="differ in their checkpoint") as caught:
        bench.run(pods=2).execute()
    assert caught.value.kind == "wrong_result"
    assert bench.files() == [f"{RUN_ID}-p1.json", f"{RUN_ID}-p2.json"]


def left_behind(bench: Bench, **changes: Any) -> str:
    """As a run that was killed leaves its Pod; gives the run's id."""
    _asked, [pod] = bench.run(run_id="run-that-was-killed", **changes).rehearse()
    with idle_target(bench.api.url, "whisper", "xeon pool") as owner:
        pod["metadata"]["labels"]["whisper.rightsize.io/owner"] = owner
    bench.cluster.pods[pod["metadata"]["name"]] = pod
    return "run-that-was-killed"


def test_audio_belongs_to_the_pods_that_mount_it(bench: Bench) -> None:
    bench.run(pods=2, audio=("a.ogg", b"sound")).execute()
    [made] = bench.cluster.config_maps.values()
    assert [owner["name"] for owner in made["metadata"]["ownerReferences"]] == bench.cluster.deleted


@pytest.mark.parametrize("is_there", [False, True])
def test_a_pod_that_is_taken_up_gets_its_audio(bench: Bench, is_there: bool) -> None:
    audio = ("a.ogg", b"sound")
    run_id = left_behind(bench, audio=audio)
    if is_there:
        bench.cluster.config_maps[f"whisper-benchmark-{run_id}-audio"] = {}
    run = bench.run(audio=audio)
    assert run.execute()["run_id"] == run_id
    assert run.adopted
    assert list(bench.cluster.config_maps) == [f"whisper-benchmark-{run_id}-audio"]


def test_a_pod_that_was_changed_is_not_taken_up_for_good(bench: Bench) -> None:
    left_behind(bench)
    [pod] = bench.cluster.pods.values()
    pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "2"
    with pytest.raises(RunError, match=r"changed limits\.cpu") as caught:
        bench.run().execute()
    assert caught.value.kind == "resources_changed"
    assert bench.cluster.pods == {}


def test_a_pod_that_is_being_deleted_is_not_taken_up(bench: Bench) -> None:
    left_behind(bench)
    [pod] = bench.cluster.pods.values()
    pod["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    run = bench.run()
    assert run.execute()["run_id"] == RUN_ID
    assert not run.adopted


def test_a_result_that_was_written_already_is_not_written_again(bench: Bench) -> None:
    run_id = left_behind(bench)
    [pod] = bench.cluster.pods.values()
    earlier = {**json.loads(bench.cluster.document(pod)), "target": "xeon pool", "cpu_model": "as it was written"}
    path = keep(str(bench.kept), earlier)
    run = bench.run()
    assert run.execute()["run_id"] == RUN_ID
    assert run.told["rescued"] == [{"run_id": run_id, "file": path, "result": earlier}]
    assert bench.cluster.pods == {}


def arguments_of(run: GuaranteedRun) -> list[str]:
    [manifest] = run.manifests
    return list(manifest["spec"]["containers"][0]["args"])


def test_what_a_lost_pod_had_finished_is_handed_on(bench: Bench, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text('{"event": "process", "process": 1, "phase": "done"}\n')
    # The fake result says that it took longer than the Pod ran: most of it is old.
    bench.cluster.wall_ms = 20_000.0
    bench.cluster.statuses[1] = {"containerStatuses": terminated(0, seconds=30)}
    run = bench.run(journal=str(journal), resume=True)
    assert run.execute()["run_id"] == RUN_ID
    [packed] = [text for text in arguments_of(run) if text.startswith("--resume-packed=")]
    content = gzip.decompress(base64.b64decode(packed.partition("=")[2]))
    assert json.loads(content) == {"event": "process", "process": 1, "phase": "done"}


def test_a_run_that_does_not_go_on_begins_anew(bench: Bench, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text("{}\n")
    run = bench.run(journal=str(journal))
    run.execute()
    assert not [text for text in arguments_of(run) if text.startswith("--resume")]
    assert not journal.exists()


def test_several_pods_that_are_gone_are_measured_anew_and_that_is_said(bench: Bench, tmp_path: Path) -> None:
    run = bench.run(journal=str(tmp_path / "journal.jsonl"), resume=True, pods=2)
    run.execute()
    assert [warning["code"] for warning in run.warnings] == ["not_resumed"]


def test_a_pod_that_went_on_from_another_is_taken_up(bench: Bench, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text("{}\n")
    going_on = {"journal": str(journal), "resume": True}
    bench.cluster.statuses[1] = {"phase": "Running", "containerStatuses": [container_status(running={})]}
    bench.caller.pause = interrupted  # type: ignore[method-assign]
    killed = bench.run(**going_on)
    killed._give_up = lambda: None  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        killed.execute()
    assert bench.cluster.pods
    bench.cluster.statuses.clear()
    bench.caller = Caller("")
    again = bench.run(**going_on)
    again.execute()
    assert again.adopted
    assert arguments_of(again) == arguments_of(killed)


def interrupted(_seconds: float) -> None:
    raise KeyboardInterrupt
