"""The handlers of delivery's durable steps, split by what they do."""

from releases.delivery.steps.call_off import CallOffStep
from releases.delivery.steps.deploy import DeployStep
from releases.delivery.steps.report import ReportStep
from releases.delivery.steps.verify import VersionStep

__all__ = ["CallOffStep", "DeployStep", "ReportStep", "VersionStep"]
