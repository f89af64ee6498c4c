#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guaranteed_pod
short_description: Run the benchmark in a Kubernetes Pod with exactly one CPU
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Runs the benchmark once in a Pod of QoS class Guaranteed and returns its verified result.
  - Requests equal limits, O(cpus) CPUs and O(memory). The Pod is what Pod Security V(restricted) admits, has no service
    account token, and is ended by the cluster itself should nobody look after it any more.
  - What admission made of the Pod is checked before it is measured. The CPU limit, the architecture and the image are
    checked by what ran. What is not as asked is a failure or taints the result, never silence.
  - The result leaves the Pod through its log and through its termination message, and is verified by hash. It is written
    and fsynced in O(result_dir) before the Pod is removed.
  - The Pod is removed in every outcome, except where the cluster cannot be reached or the result cannot be written. What a
    killed run left, the next run with the same O(target) takes up if it asks for the same, or else saves and removes.
  - Two runs of one user never measure the same O(target) at once from one controller. A run waits for the one before it.
  - A Pod that a killed run left is taken up in any case. Of one that is gone, O(resume) takes the processes that it had finished,
    where there is one Pod.
  - Live progress is shown within 10 seconds of the start, and then at least every 15 seconds.
  - Run it on the controller. It needs the rights that C(docs/kubernetes/role.yaml) grants and checks them first.
extends_documentation_fragment:
  - rightsize.whisper.cluster
  - rightsize.whisper.benchmark
  - rightsize.whisper.watched
attributes:
  check_mode:
    support: full
    description: The cluster rehearses the creation (server-side dry run) and the outcome is checked; nothing is measured.
  diff_mode:
    support: full
    description: In check mode, shows the manifest and what admission makes of it.
requirements:
  - kubernetes >= 31, < 38 (Python package)
options:
  image:
    description: Name of the runner image, as the nodes know it.
    type: str
    required: true
  image_ids:
    description:
      - Hashes by which a node may call the image that was built, such as V(sha256:…). Any other image is refused.
      - RV(rightsize.whisper.image_delivery#module:image_ids) has them.
    type: list
    elements: str
    default: []
  pull_policy:
    description: V(Never) where the image was brought to the nodes, so that no registry is asked for a stranger's of that name.
    type: str
    choices: [IfNotPresent, Never, Always]
    default: IfNotPresent
  pull_secrets:
    description: Names of secrets in the namespace with which the registry is asked.
    type: list
    elements: str
    default: []
  architecture:
    description: The architecture of the image. The Pod goes only to nodes of it, and the result must come from one.
    type: str
    choices: [x86_64, arm64]
  target:
    description: Name of this target in the result and in the progress.
    type: str
    required: true
  run_id:
    description:
      - Names the run. The result must carry it, so it must not be used twice.
      - Eight to 63 lower-case letters, digits and dashes.
      - A run that takes up what a killed one left has the id of that one.
    type: str
    required: true
  cpus:
    description:
      - Request and limit, in whole CPUs, since only those can be exclusive.
      - The ratio is defined for 1. Nodes that give out whole cores only want 2.
    type: int
    default: 1
  memory:
    description: Request and limit, a whole figure such as V(4Gi).
    type: str
    default: 4Gi
  audio:
    description: An audio file on the controller, of at most 1 MiB, to transcribe in place of the bundled sample.
    type: path
  node_selector:
    description: Labels of the nodes to measure on.
    type: dict
    default: {}
  tolerations:
    description: Taints of these nodes to tolerate, as in a Pod's manifest.
    type: list
    elements: dict
    default: []
  priority_class:
    description: Name of a PriorityClass.
    type: str
  pods:
    description: Measure in so many Pods at once, each with O(iterations), and combine their results as those of processes are.
    type: int
    default: 1
  distinct_nodes:
    description: With several O(pods), insist on a node for each.
    type: bool
    default: true
  schedule_timeout:
    description: How many seconds to wait for a node.
    type: int
    default: 300
  start_timeout:
    description: How many seconds a node may take to fetch the image and start.
    type: int
    default: 900
  timeout:
    description: How many seconds the run may take once it has started.
    type: int
    default: 7200
  grace:
    description: How many seconds a Pod may be in a state that seldom mends itself, such as an image that cannot be pulled.
    type: int
    default: 45
  api_patience:
    description: How many seconds the API server may be away during a run.
    type: int
    default: 300
  result_dir:
    description:
      - A folder for results that are not in the history yet, created where it is missing.
      - Results of the target that are found there are returned in RV(rescued). Remove a file once its result is recorded.
    type: path
    required: true
seealso:
  - module: rightsize.whisper.image_delivery
  - module: rightsize.whisper.clean_pods
  - module: rightsize.whisper.result_history
"""

EXAMPLES = r"""
- name: Measure the base model on one CPU of the cluster
  rightsize.whisper.guaranteed_pod:
    context: production
    namespace: whisper-benchmark
    image: "{{ delivered.image }}"
    image_ids: "{{ delivered.image_ids }}"
    pull_policy: "{{ delivered.pull_policy }}"
    target: xeon_pool
    run_id: "{{ now(utc=true, fmt='%Y%m%dt%H%M%S') }}-{{ inventory_hostname | hash('sha256') | truncate(8, end='') }}"
    node_selector:
      node.kubernetes.io/instance-type: m7i.4xlarge
    result_dir: "{{ playbook_dir }}/results/unrecorded"
  register: run

- name: Keep the result
  rightsize.whisper.result_history:
    path: "{{ playbook_dir }}/results/history.jsonl"
    schema_file: "{{ playbook_dir }}/result.schema.json"
    result: "{{ run.result }}"
"""

RETURN = r"""
result:
  description:
    - The result of the run, as C(bench_runner/result.schema.json) describes it.
    - Its C(kubernetes) tells Pod, node, kubelet, runtime and how CPUs are given out there.
  returned: success, except in check mode
  type: dict
  contains:
    stop_reason:
      description: Why the run ended, V(iterations_done), V(precision_reached), V(time_budget) or V(most_processes).
      type: str
      sample: precision_reached
result_file:
  description: Where the result was written.
  returned: success, except in check mode
  type: str
rescued:
  description: Results that runs of this target left when they were killed, which should be recorded now.
  returned: always
  type: list
  elements: dict
  contains:
    run_id:
      description: The run.
      type: str
    file:
      description: Where its result was written.
      type: str
    result:
      description: The result.
      type: dict
adopted:
  description: Whether Pods that a killed run left were taken up.
  returned: always
  type: bool
manifests:
  description: The Pods as they were sent, or in check mode would be.
  returned: once they were made
  type: list
  elements: dict
pods:
  description: The Pods as they were seen last. They no longer exist.
  returned: except in check mode
  type: list
  elements: dict
  sample:
    - name: whisper-benchmark-20261123t120000-0a1b2c3d
      namespace: whisper-benchmark
      uid: 3c6f3a5e-0d5f-4a2b-8a3b-0d7b1b0e6f5c
      node: worker-3
      qos_class: Guaranteed
      image_id: registry.example.com/whisper@sha256:9f2c…
      stage: ended
      exit_code: 0
cluster:
  description: The cluster, by context, server, namespace and version.
  returned: once it answered
  type: dict
failure:
  description:
    - Why there is no result, in a word that stays the same.
    - Of the connection V(no_kubernetes_package), V(no_kubeconfig), V(no_context), V(api_unreachable), V(unauthorized),
      V(forbidden), V(no_namespace).
    - Of admission V(quota_exceeded), V(limit_range), V(pod_security), V(admission), V(refused), V(resources_changed),
      V(manifest_changed), V(not_guaranteed), V(run_id_taken).
    - Of the start V(unschedulable), V(image_pull), V(wrong_image), V(container_error), V(node_refused), V(start_timed_out),
      V(wrong_architecture).
    - Of the run V(timed_out), V(out_of_memory), V(evicted), V(preempted), V(node_lost), V(pod_vanished), V(pod_killed),
      V(audio), V(checkpoint), V(runner_error).
    - Of the result V(garbled_result), V(result_too_large), V(unknown_schema), V(wrong_result), V(implausible_result),
      V(not_kept).
    - Of the controller V(interrupted), V(lease_lost), V(no_state), V(bad_usage).
  returned: failure
  type: str
  sample: unschedulable
partial_journal:
  description:
    - The events of a run that failed after it had measured iterations, for C(python -m bench_runner.recover).
    - Of several Pods, those of the one that came furthest.
  returned: failure, when there are any
  type: str
"""

import re
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._arguments import BENCHMARK, CLUSTER, WATCHED
from ..module_utils._caller import Abandoned, Caller
from ..module_utils._container import RunError, as_texts, read_run
from ..module_utils._kubernetes import Cluster, ClusterError
from ..module_utils._pod_manifest import MAX_AUDIO_BYTES, PodRequest
from ..module_utils._pod_run import GuaranteedRun

ARGUMENT_SPEC: t.Dict[str, t.Dict[str, t.Any]] = {
    **CLUSTER,
    "image": {"type": "str", "required": True},
    "image_ids": {"type": "list", "elements": "str", "default": []},
    "pull_policy": {"type": "str", "choices": ["IfNotPresent", "Never", "Always"], "default": "IfNotPresent"},
    "pull_secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "architecture": {"type": "str", "choices": ["x86_64", "arm64"]},
    "target": {"type": "str", "required": True},
    "run_id": {"type": "str", "required": True},
    **BENCHMARK,
    "cpus": {"type": "int", "default": 1},
    "memory": {"type": "str", "default": "4Gi"},
    "audio": {"type": "path"},
    "node_selector": {"type": "dict", "default": {}},
    "tolerations": {"type": "list", "elements": "dict", "default": []},
    "priority_class": {"type": "str"},
    "pods": {"type": "int", "default": 1},
    "distinct_nodes": {"type": "bool", "default": True},
    "schedule_timeout": {"type": "int", "default": 300},
    "start_timeout": {"type": "int", "default": 900},
    "timeout": {"type": "int", "default": 7200},
    "grace": {"type": "int", "default": 45},
    "api_patience": {"type": "int", "default": 300},
    "result_dir": {"type": "path", "required": True},
    **WATCHED,
}
LEAST = {"cpus": 1, "pods": 1, "schedule_timeout": 1, "start_timeout": 1, "timeout": 1, "grace": 0, "api_patience": 0}
MAX_PODS = 100


def read_request(options: t.Dict[str, t.Any], namespace: str) -> PodRequest:
    """What the options ask for; what the runner or the cluster itself judges is left to them."""
    for name, least in LEAST.items():
        if options[name] < least:
            raise RunError("bad_usage", f"{name} {options[name]} is too little; give {least} or more")
    if options["pods"] > MAX_PODS:
        raise RunError("bad_usage", f"pods {options['pods']} is more than the {MAX_PODS} that one result can hold")
    run = read_run(options)
    return PodRequest(
        run=run,
        namespace=namespace,
        memory=options["memory"],
        image_ids=tuple(options["image_ids"]),
        pull_policy=options["pull_policy"],
        pull_secrets=tuple(options["pull_secrets"]),
        architecture=options["architecture"],
        node_selector=as_texts(options["node_selector"]),
        tolerations=tuple(options["tolerations"]),
        priority_class=options["priority_class"] or None,
        pods=options["pods"],
        distinct_nodes=options["distinct_nodes"],
        schedule_seconds=options["schedule_timeout"],
        start_seconds=options["start_timeout"],
        grace_seconds=options["grace"],
        audio=read_audio(options["audio"]) if options["audio"] else None,
    )


def read_audio(path: str) -> t.Tuple[str, bytes]:
    """The user's audio, under a name that is safe in a path and on a command line."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_AUDIO_BYTES + 1)
    except OSError as error:
        raise RunError("audio", f"cannot read the audio file {path} on the controller: {error.strerror}") from error
    if len(content) > MAX_AUDIO_BYTES:
        raise RunError(
            "audio",
            f"the audio file {path} has more than the {MAX_AUDIO_BYTES} bytes that a ConfigMap holds; compress it",
        )
    return re.sub(r"[^A-Za-z0-9.]", "_", Path(path).name).lstrip(".") or "audio", content


def rehearsed(run: GuaranteedRun) -> t.Dict[str, t.Any]:
    """What check mode tells: the manifests, and what the cluster would make of them."""
    asked, made = run.rehearse()
    parts = ("metadata", "spec")
    return {
        "manifests": asked,
        "diff": {
            "before_header": "manifest",
            "before": {pod["metadata"]["name"]: {part: pod[part] for part in parts} for pod in asked},
            "after_header": "Pod that the cluster would make of it",
            "after": {pod["metadata"]["name"]: {part: pod[part] for part in parts} for pod in made},
        },
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    answer: t.Dict[str, t.Any] = {"changed": False}
    run: t.Optional[GuaranteedRun] = None
    title = f"[{options['target']}] {options['model']}:"
    try:
        with Caller(title, options["progress_dir"], options["lease_seconds"]) as caller:
            cluster = Cluster(options["kubeconfig"], options["context"], caller.pause)
            request = read_request(options, options["namespace"] or cluster.namespace)
            caller.say(f"asking the cluster of context {cluster.context}")
            answer["cluster"] = cluster.describe(request.namespace)
            cluster.patience_seconds = options["api_patience"]
            run = GuaranteedRun(cluster, request, caller, options["result_dir"])
            if module.check_mode:
                answer.update(rehearsed(run), changed=True)
            else:
                answer.update(result=run.execute(), changed=True)
    except (Abandoned, ClusterError, RunError) as error:
        answer.update(failure=error.kind, msg=str(error))
    if run is not None:
        answer.update(run.told)
        for warning in [*(answer["result"]["warnings"] if "result" in answer else []), *run.warnings]:
            module.warn(f"{options['target']}: {warning['message']}")
    if "failure" in answer:
        module.fail_json(**answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
