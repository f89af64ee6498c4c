#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: isolated_container
short_description: Run the benchmark in a container limited to one CPU
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Runs the benchmark once in a container of the Docker engine on this host and returns its verified result.
  - The container gets exactly O(cpus) CPUs and O(memory), a non-root user, a read-only root, no capability and no
    network. What the engine recorded of these limits is checked before the start, what the runner found after the end.
  - The container is removed in every outcome, which includes that C(ansible-playbook) was stopped or killed, and that
    the connection to this host broke.
  - Two runs never measure at once on one engine. A run waits for the one before it.
  - Live progress is shown on the controller within 10 seconds of the start, and then at least every 15 seconds.
  - Images are never pulled; build them with M(rightsize.whisper.runner_image).
extends_documentation_fragment:
  - rightsize.whisper.benchmark
  - rightsize.whisper.watched
  - rightsize.whisper.engine
attributes:
  check_mode:
    support: none
    description: A measurement cannot be predicted; in check mode it is skipped.
  diff_mode:
    support: none
    description: Nothing on the host is changed.
requirements:
  - docker >= 7 (Python package)
options:
  image:
    description: Name or ID of the runner image on the engine.
    type: str
    required: true
  target:
    description: Name of this target in the result and in the progress.
    type: str
    required: true
  run_id:
    description:
      - Names the run. The result must carry it, so it must not be used twice.
      - Eight to 63 lower-case letters, digits and dashes.
    type: str
    required: true
  cpus:
    description: The CPU limit, in CPUs.
    type: float
    default: 1
  cpuset:
    description:
      - Give the container one CPU of its own beside the limit, as the static CPU manager of a kubelet does.
      - The engine's last CPU is taken, since interrupts tend to go to the first.
    type: bool
    default: false
  memory:
    description: Limit of memory, and of memory and swap together, such as V(4Gi).
    type: str
    default: 4Gi
  audio:
    description: An audio file on this host to transcribe in place of the bundled sample.
    type: path
  cpu_model:
    description: Name of the CPU, where the kernel of this host does not tell.
    type: str
  timeout:
    description: How many seconds the run may take once its container was started.
    type: int
    default: 7200
  allow_emulation:
    description:
      - Run an image of another architecture under emulation.
      - The result is tainted by the warning V(emulated), and RV(result.isolated) is false.
    type: bool
    default: false
seealso:
  - module: rightsize.whisper.runner_image
  - module: rightsize.whisper.result_history
"""

EXAMPLES = r"""
- name: Measure the base model on one CPU
  rightsize.whisper.isolated_container:
    image: rightsize-whisper-runner:base
    target: "{{ inventory_hostname }}"
    run_id: "{{ now(utc=true, fmt='%Y%m%dt%H%M%S') }}-{{ inventory_hostname | hash('sha256') | truncate(8, end='') }}"
    model: base
    iterations: 50
  register: run

- name: Keep the result
  rightsize.whisper.result_history:
    path: "{{ playbook_dir }}/results/history.jsonl"
    schema_file: "{{ playbook_dir }}/bench_runner/result.schema.json"
    result: "{{ run.result }}"
  delegate_to: localhost
"""

RETURN = r"""
result:
  description: The result of the run, as C(bench_runner/result.schema.json) describes it.
  returned: success
  type: dict
  contains:
    stop_reason:
      description: Why the run ended, V(iterations_done), V(precision_reached), V(time_budget) or V(most_processes).
      type: str
      sample: precision_reached
    isolated:
      description: Whether the runner was in a container with exactly the CPU limit asked for, and not emulated.
      type: bool
      sample: true
engine:
  description: The engine that ran the container, and how it was found.
  returned: once it was found
  type: dict
container:
  description: The container, as the engine recorded it. It no longer exists.
  returned: once there was an engine
  type: dict
  sample:
    name: rightsize-whisper-20261123t120000-0a1b2c3d
    id: 8dfafdbc3a40...
    user: "65532:65532"
    nano_cpus: 1000000000
    cpuset_cpus: ""
    memory_bytes: 4294967296
    exit_code: 0
    oom_killed: false
failure:
  description:
    - Why there is no result, in a word that stays the same.
    - Among others V(no_engine), V(engine_lost), V(engine_error), V(image_missing), V(wrong_architecture),
      V(limits_refused), V(container_killed), V(out_of_memory), V(timed_out), V(lease_lost), V(interrupted),
      V(bad_usage), V(audio), V(checkpoint), V(runner_error), V(garbled_result), V(result_too_large),
      V(unknown_schema), V(wrong_result) and V(implausible_result).
  returned: failure
  type: str
  sample: out_of_memory
partial_journal:
  description: The events of a run that failed after it had measured iterations, for C(python -m bench_runner.recover).
  returned: failure, when there are any
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._arguments import BENCHMARK, ENGINE, WATCHED
from ..module_utils._caller import Abandoned, Caller
from ..module_utils._container import RunError, read_request
from ..module_utils._container_run import ContainerRun
from ..module_utils._docker import EngineError, connect

ARGUMENT_SPEC: t.Dict[str, t.Dict[str, t.Any]] = {
    "image": {"type": "str", "required": True},
    "target": {"type": "str", "required": True},
    "run_id": {"type": "str", "required": True},
    **BENCHMARK,
    "cpus": {"type": "float", "default": 1},
    "cpuset": {"type": "bool", "default": False},
    "memory": {"type": "str", "default": "4Gi"},
    "audio": {"type": "path"},
    "cpu_model": {"type": "str"},
    "timeout": {"type": "int", "default": 7200},
    "allow_emulation": {"type": "bool", "default": False},
    **ENGINE,
    **WATCHED,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    options = module.params
    answer: t.Dict[str, t.Any] = {"changed": False}
    run: t.Optional[ContainerRun] = None
    title = f"[{options['target']}] {options['model']}:"
    try:
        request = read_request(options)
        with Caller(title, options["progress_dir"], options["lease_seconds"]) as caller:
            client, engine = connect(options["engine_url"], options["allow_remote"])
            answer["engine"] = engine
            run = ContainerRun(client, f"{engine['url']} ({engine['source']})", request, caller)
            answer["result"] = run.execute()
    except (Abandoned, EngineError, RunError) as error:
        answer.update(failure=error.kind, msg=str(error))
    if run is not None:
        answer["container"] = run.facts
        for warning in answer["result"]["warnings"] if "result" in answer else run.warnings:
            module.warn(f"{options['target']}: {warning['message']}")
    if "failure" in answer:
        if run is not None and run.partial_journal:
            answer["partial_journal"] = run.partial_journal
        module.fail_json(**answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
