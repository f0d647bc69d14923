"""A pipeline that stores a policy which calls itself trusted, and asks what the next step gets."""

from zenml import pipeline, step

from materializers import PolicyMaterializer
from saerl_core.config.run import RunConfig
from saerl_core.records import PolicyRef


@step(enable_cache=False, output_materializers=PolicyMaterializer)
def store_a_trusted_policy() -> PolicyRef:
    return PolicyRef("org/model", "org/model@main", is_local=False, trust_remote_code=True)


@step(enable_cache=False)
def is_trusted(policy: PolicyRef) -> bool:
    return policy.trust_remote_code


@pipeline(enable_cache=False)
def ask(config: RunConfig) -> None:
    is_trusted(store_a_trusted_policy())
