#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sizing_verification
short_description: Send requests to workers as they would arrive, and time every one
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Starts workers from the runner image on the Docker engine of this host, each a container limited to O(cpus) CPUs as
    M(rightsize.whisper.isolated_container) limits them, sends them Poisson arrivals at O(rate), and returns when every request
    arrived, was started and was answered.
  - A worker serves one request at a time. Requests travel over the containers' standard input; the containers have no network.
  - The load is open. A request arrives when it is due, however slow the workers are, and its response time counts from then.
  - Where the host has fewer CPUs or less memory than O(workers) need, fewer are started, and they get their share of the rate. So each is
    as busy as it would be among all.
  - The containers are removed in every outcome, which includes that C(ansible-playbook) was stopped or killed, and that the connection to
    this host broke. No other run measures on the engine meanwhile.
  - What the times mean is for P(rightsize.whisper.sizing_verification_report#filter) to say.
extends_documentation_fragment:
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
    description: Name of this target in the answer and in the progress.
    type: str
    required: true
  run_id:
    description: Names the test; eight to 63 lower-case letters, digits and dashes.
    type: str
    required: true
  workers:
    description: How many workers the sizing recommends.
    type: int
    required: true
  rate:
    description: Requests per second for all O(workers) together.
    type: float
    required: true
  max_workers:
    description:
      - Start no more than so many, and no more than the engine has CPUs.
      - By default one CPU is left for the engine and for what sends the requests, so with 4 CPUs there are 3 workers at most.
    type: int
  dispatch:
    description:
      - How a request finds its worker.
      - V(random) hands it to any worker, busy or not, as kube-proxy does.
      - V(pooled) keeps one queue, and whoever is free takes the next.
    type: str
    choices: [random, pooled]
    default: random
  requests:
    description: How many requests to send, from 10 to 10000.
    type: int
    default: 130
  duration:
    description: For how many seconds requests arrive at most.
    type: int
    default: 900
  seed:
    description: Of the arrivals; the same seed gives the same ones.
    type: int
    default: 0
  model:
    description: The openai-whisper model.
    type: str
    default: base
  threads:
    description: Size of every thread pool of a worker.
    type: int
    default: 1
  warmup:
    description: Untimed inferences of each worker before the first request.
    type: int
    default: 1
  cpus:
    description: The CPU limit of a worker, in CPUs.
    type: float
    default: 1
  cpuset:
    description: Give every worker one CPU of its own beside the limit.
    type: bool
    default: false
  memory:
    description: Limit of memory of a worker, and of memory and swap together, such as V(4Gi).
    type: str
    default: 4Gi
  audio:
    description: An audio file on this host that every request transcribes in place of the bundled sample.
    type: path
  same_work:
    description:
      - What the workers must hear and load, so that the test is of the same work as the run that predicts it.
      - The keys are C(audio_sha256) and C(checkpoint_sha256); an empty value is not checked.
    type: dict
    default: {}
  timeout:
    description: How many seconds the test may take once its first container was started.
    type: int
    default: 7200
  allow_emulation:
    description: Run an image of another architecture under emulation.
    type: bool
    default: false
seealso:
  - module: rightsize.whisper.isolated_container
  - plugin: rightsize.whisper.sizing_verification_report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Send requests to four workers
  rightsize.whisper.sizing_verification:
    image: rightsize-whisper-runner:base
    target: "{{ inventory_hostname }}"
    run_id: "{{ now(utc=true, fmt='%Y%m%dt%H%M%S') }}-{{ inventory_hostname | hash('sha256') | truncate(8, end='') }}"
    workers: 4
    rate: 1.2
    requests: 130
  register: tested
"""

RETURN = r"""
test:
  description: What was sent, to whom, and what every request took.
  returned: success
  type: dict
  contains:
    run_id:
      description: The test.
      type: str
    target:
      description: The target.
      type: str
    model_size:
      description: The model.
      type: str
    threads:
      description: Size of every thread pool, as a worker says.
      type: int
    cpu_limit:
      description: The CPU limit that a worker found; V(none) where it found none.
      type: float
    audio_sha256:
      description: Hash of the samples that were transcribed.
      type: str
    checkpoint_sha256:
      description: Hash of the weights.
      type: str
    image_id:
      description: The image.
      type: str
    dispatch:
      description: How requests found their worker.
      type: str
    seed:
      description: The seed of the arrivals.
      type: int
    workers_planned:
      description: How many workers were asked for.
      type: int
    workers:
      description: How many were started.
      type: int
    capped_by:
      description: What the host lacks for the others; V(none) where all were started.
      type: str
      sample: 2 CPUs, of which one is left free
    rate_planned_rps:
      description: The rate that was asked for, in requests per second.
      type: float
    rate_rps:
      description: The rate of the arrivals, which is less where fewer workers were started.
      type: float
    requests_planned:
      description: How many requests were asked for.
      type: int
    duration_limit_seconds:
      description: For how long requests could arrive.
      type: int
    requests:
      description:
        - Every request in the order of arrival. The keys are C(worker), C(arrival_seconds), C(start_seconds), C(finish_seconds) and
          C(service_ms), the last as the worker measured it; the others count from the start.
      type: list
      elements: dict
    warnings:
      description: What to beware of, with the keys C(code) and C(message).
      type: list
      elements: dict
engine:
  description: The engine that ran the containers, and how it was found.
  returned: once it was found
  type: dict
containers:
  description: The containers, as the engine recorded them. They no longer exist.
  returned: once there was an engine
  type: list
  elements: dict
failure:
  description:
    - Why there is no answer, in a word that stays the same.
    - Among others V(no_engine), V(engine_lost), V(engine_error), V(image_missing), V(wrong_architecture), V(container_killed),
      V(out_of_memory), V(timed_out), V(other_work), V(garbled_result), V(bad_usage), V(interrupted), V(lease_lost).
  returned: failure
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._arguments import ENGINE, WATCHED
from ..module_utils._caller import Abandoned, Caller
from ..module_utils._container import RunError, read_request
from ..module_utils._docker import EngineError, connect
from ..module_utils._load import LoadPlan
from ..module_utils._load_run import LoadRun

ARGUMENT_SPEC: t.Dict[str, t.Dict[str, t.Any]] = {
    "image": {"type": "str", "required": True},
    "target": {"type": "str", "required": True},
    "run_id": {"type": "str", "required": True},
    "workers": {"type": "int", "required": True},
    "rate": {"type": "float", "required": True},
    "max_workers": {"type": "int"},
    "dispatch": {"type": "str", "choices": ["random", "pooled"], "default": "random"},
    "requests": {"type": "int", "default": 130},
    "duration": {"type": "int", "default": 900},
    "seed": {"type": "int", "default": 0},
    "model": {"type": "str", "default": "base"},
    "threads": {"type": "int", "default": 1},
    "warmup": {"type": "int", "default": 1},
    "cpus": {"type": "float", "default": 1},
    "cpuset": {"type": "bool", "default": False},
    "memory": {"type": "str", "default": "4Gi"},
    "audio": {"type": "path"},
    "same_work": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 7200},
    "allow_emulation": {"type": "bool", "default": False},
    **ENGINE,
    **WATCHED,
}


def read_plan(options: t.Dict[str, t.Any]) -> LoadPlan:
    """What the options ask to send."""
    return LoadPlan(
        workers=options["workers"],
        rate_rps=options["rate"],
        requests=options["requests"],
        duration_seconds=options["duration"],
        dispatch=options["dispatch"],
        seed=options["seed"],
        max_workers=options["max_workers"],
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    options = module.params
    answer: t.Dict[str, t.Any] = {"changed": False}
    run: t.Optional[LoadRun] = None
    title = f"[{options['target']}] {options['model']}:"
    try:
        # A worker's requests are its iterations, and it is one process.
        request = read_request(
            {**options, "iterations": options["requests"], "processes": 1, "cpu_model": None, "labels": {}}
        )
        plan = read_plan(options)
        with Caller(title, options["progress_dir"], options["lease_seconds"]) as caller:
            client, engine = connect(options["engine_url"], options["allow_remote"])
            answer["engine"] = engine
            name = f"{engine['url']} ({engine['source']})"
            run = LoadRun(client, name, request, plan, caller, options["same_work"])
            answer["test"] = run.execute()
    except (Abandoned, EngineError, RunError) as error:
        answer.update(failure=error.kind, msg=str(error))
    if run is not None:
        answer["containers"] = run.containers
        for warning in run.warnings:
            module.warn(f"{options['target']}: {warning['message']}")
    if "failure" in answer:
        module.fail_json(**answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
