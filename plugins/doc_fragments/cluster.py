# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which cluster and namespace a module speaks to."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  context:
    description: The context of the kubeconfig that names the cluster and the user. It is never guessed.
    type: str
    required: true
  kubeconfig:
    description: The kubeconfig. By default what E(KUBECONFIG) names, else C(~/.kube/config).
    type: path
  namespace:
    description: The namespace. By default that of the context.
    type: str
"""
