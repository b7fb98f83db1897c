"""Contract tests for plug-in authors: subclass one, set what is tested, run pytest.

For a policy: `class TestMine(PolicyContract): policy = Mine()`; for a system:
`class TestMine(SystemContract): system = Mine()`; for a channel: `class TestMine(ChannelContract):
channel = Mine(10.0)`; for a codec: `class TestMine(CodecContract): codec = Mine()`; for a metric:
`class TestMine(MetricContract): metric = Mine()`.
"""

from jscc_sim.testing.channels import ChannelContract
from jscc_sim.testing.codecs import CodecContract
from jscc_sim.testing.metrics import MetricContract
from jscc_sim.testing.pictures import sample_picture
from jscc_sim.testing.policies import PolicyCase, PolicyContract, policy_cases
from jscc_sim.testing.systems import SystemContract

__all__ = [
    "ChannelContract",
    "CodecContract",
    "MetricContract",
    "PolicyCase",
    "PolicyContract",
    "SystemContract",
    "policy_cases",
    "sample_picture",
]
