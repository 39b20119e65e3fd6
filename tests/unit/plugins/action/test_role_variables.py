# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError, AnsibleLookupError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.mainstay.vps.plugins.action.role_variables import ROLES, refusal, sentence, shapeless, slips, specification
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError, ReleaseError

OPTIONS = {name: option for role in ROLES.iterdir() for name, option in specification(role).items()}


def refused(given):
    """What is said of values by the validator of the ansible-core that is installed, in our words."""
    errors = ArgumentSpecValidator(OPTIONS).validate(given, validate_role_argument_spec=True).error_messages
    return " ".join(sentence(error, given) for error in errors)


@pytest.mark.parametrize(
    "given, words",
    [
        ({"system_nofile": 65536, "nginx_sorry_page": True}, ""),
        ({"system_nofile": "many"}, "system_nofile: 'many' is of type str; write int."),
        ({"system_packages": {"curl": 1}}, "system_packages: {'curl': 1} is of type dict; write list."),
        ({"monitoring_revive_delays": ["soon"]}, "monitoring_revive_delays: ['soon'] is of type str; write int."),
        (
            {"firewall_backend": "ufww"},
            "firewall_backend: ufww cannot be used; did you mean ufw? Use one of nftables, ufw.",
        ),
        (
            {"certificates_sites": [{"name": "a", "source": "selfsigned", "tls": 1}]},
            "certificates_sites.tls: there is no such key; known keys are certificate, key, name, names, source.",
        ),
        (
            {"certificates_sites": [{"name": "a", "source": "selfsigned", "kye": "/k"}]},
            "certificates_sites.kye: there is no such key; did you mean key? Known keys are certificate, key, name, names, source.",
        ),
        ({"certificates_sites": [{"name": "a"}]}, "certificates_sites: missing required arguments: source."),
        (
            {"certificates_sites": [{"name": {"a": 1}, "source": "selfsigned", "names": {}}]},
            "certificates_sites.names: is of type dict; write list.",
        ),
    ],
)
def test_a_value_that_no_role_can_use_is_refused_in_a_sentence(given, words):
    assert refused(given) == words


def test_what_nearly_has_the_name_of_a_variable_is_told():
    variables = {"nginx_sorry_pages": 1, "system_nofile": 2, "backup_ours": 3, "nearly_nginx_sorry_pages": 4}
    assert slips(variables, OPTIONS, ["nginx", "system", "backup"]) == [
        "nginx_sorry_pages: no role reads this variable. Did you mean nginx_sorry_page?"
    ]


def test_every_role_with_variables_is_looked_at():
    assert {role.name for role in ROLES.iterdir() if specification(role)} == {role.name for role in ROLES.iterdir()} - {"host"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"backend_stop_timeout": {"web": 30}, "system_nofile": 1, "fail2ban_enabled": False, "monitoring_interval": "7"}, ""),
        ({"backend_surge_mb": None, "nginx_http3": None}, ""),
        ({"backend_stop_timeout": 30}, "backend_stop_timeout: 30 cannot be used; write a mapping with web, celery, worker."),
        ({"backup_keep": "daily=7"}, "backup_keep: 'daily=7' cannot be used; write a mapping."),
        ({"backup_environment": "KEY=secret"}, "backup_environment: ******** cannot be used; write a mapping."),
        ({"nginx_packages": "nginx,curl"}, "nginx_packages: 'nginx,curl' cannot be used; write a list."),
        ({"nginx_http3": "false"}, "nginx_http3: 'false' cannot be used; write true or false, with -e as '{\"nginx_http3\": true}'."),
        ({"system_nofile": None}, "system_nofile: None cannot be used; write a value after the colon, or leave the variable out."),
    ],
)
def test_what_a_role_would_get_in_another_shape_is_refused(given, words):
    assert " ".join(shapeless(OPTIONS, given)) == words


@pytest.mark.parametrize(
    ("cause", "wrapper", "words"),
    [
        (DeclarationError("mainstay_apps", 1, "Write a mapping."), AnsibleFilterError, "mainstay_apps: 1 cannot be used. Write a mapping."),
        (ReleaseError("source.path: 'x' cannot be used."), AnsibleLookupError, "source.path: 'x' cannot be used."),
        (ValueError("invalid literal for int()"), AnsibleFilterError, ""),  # no refusal of ours
    ],
)
def test_a_refusal_within_a_default_is_told_without_the_words_before_it(cause, wrapper, words):
    try:
        try:
            raise wrapper(str(cause)) from cause
        except wrapper as error:
            raise RuntimeError("The filter plugin failed") from error
    except RuntimeError as error:
        assert refusal(error) == words
