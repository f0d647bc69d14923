"""ZenML's Kubernetes step operator, with a run's token as a Secret; ZenML writes it into the manifest of the Job."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from kubernetes.client import ApiException
from zenml.config.base_settings import BaseSettings
from zenml.config.step_run_info import StepRunInfo
from zenml.enums import ExecutionStatus
from zenml.integrations.kubernetes import kube_utils
from zenml.integrations.kubernetes.flavors import KubernetesStepOperatorFlavor
from zenml.integrations.kubernetes.flavors.kubernetes_step_operator_flavor import KubernetesStepOperatorSettings
from zenml.integrations.kubernetes.pod_settings import KubernetesPodSettings
from zenml.integrations.kubernetes.step_operators import KubernetesStepOperator
from zenml.models import StepRunResponse

_TOKEN, _KEY = "ZENML_STORE_API_TOKEN", "token"


class GpuPodsStepOperator(KubernetesStepOperator):
    """Runs a step as a Job whose manifest holds no secret."""

    def submit_with_allocation(
        self,
        info: StepRunInfo,
        entrypoint_command: list[str],
        environment: dict[str, str],
        allocated_resource_request: Any,
    ) -> None:
        """Submit a step as ZenML does, with the server's token taken out of its environment into a Secret."""
        token = environment.pop(_TOKEN, None)
        if token is not None:
            namespace, name = self.config.kubernetes_namespace, _secret_name(info.step_run_id)
            kube_utils.create_or_update_secret(
                core_api=self._k8s_core_api, namespace=namespace, secret_name=name, data={_KEY: token}
            )
        super().submit_with_allocation(info, entrypoint_command, environment, allocated_resource_request)

    def get_settings(self, container: Any) -> BaseSettings:
        """Return ZenML's settings; those of a step that is submitted point to the Secret."""
        settings = super().get_settings(container)
        if not isinstance(container, StepRunInfo) or not isinstance(settings, KubernetesStepOperatorSettings):
            return settings
        secret = {"name": _secret_name(container.step_run_id), "key": _KEY, "optional": True}  # a server without login
        pod = settings.pod_settings or KubernetesPodSettings()
        pod = pod.model_copy(update={"env": [*pod.env, {"name": _TOKEN, "valueFrom": {"secretKeyRef": secret}}]})
        return settings.model_copy(update={"pod_settings": pod})

    def get_status(self, step_run: StepRunResponse) -> ExecutionStatus:
        """Return the state of a submitted step; the Secret goes when the step has ended."""
        status = super().get_status(step_run)
        if status.is_finished:
            with suppress(ApiException):  # it is gone already, or there was none
                kube_utils.delete_secret(
                    core_api=self._k8s_core_api,
                    namespace=self.config.kubernetes_namespace,
                    secret_name=_secret_name(step_run.id),
                )
        return status


class GpuPodsFlavor(KubernetesStepOperatorFlavor):
    """The flavor that `deploy/stacks/register.py` registers in ZenML."""

    @property
    def name(self) -> str:
        """Return the name that stands in stack files and in the keys of settings."""
        return "saerl_gpu_pods"

    @property
    def implementation_class(self) -> type[GpuPodsStepOperator]:
        """Return the step operator."""
        return GpuPodsStepOperator


def _secret_name(step_run_id: UUID) -> str:
    return f"saerl-token-{step_run_id}"
