"""Register a ZenML stack from a YAML file of this folder; safe to repeat.

    python deploy/stacks/register.py deploy/stacks/k8s-gpu.yaml

`${NAME}` is taken from the environment, and a missing variable is refused before anything is registered. A field that
holds a secret must be a reference such as `{{saerl_mlflow.token}}`: a value in plain text is refused. The secrets
themselves are made once with `zenml secret create saerl_mlflow -i`, which asks for the values and shows them nowhere.
"""

import os
import re
from pathlib import Path

import click
import yaml
from pydantic import BaseModel, ConfigDict

from saerl_core.environment import apply
from saerl_core.errors import ConfigError, SaerlError

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_REFERENCE = re.compile(r"\{\{\s*(\w+)\.\w+\s*\}\}")
_SECRET_FIELDS = ("key", "password", "secret", "token", "username")

Value = str | bool | int


class Component(BaseModel):
    """One component of a stack; a flavor that is not ZenML's has the class that defines it as its source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    flavor: str
    source: str | None = None
    configuration: dict[str, Value]


class StackFile(BaseModel):
    """A stack: components by their type in ZenML, the orchestrator among them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    components: dict[str, Component]

    @property
    def secrets(self) -> list[str]:
        """Names of the secrets in ZenML's store that the components refer to."""
        values = [str(v) for c in self.components.values() for v in c.configuration.values()]
        return sorted({match for value in values for match in _REFERENCE.findall(value)})


def read_stack(path: Path) -> StackFile:
    """Read a stack file, with the variables of the environment in place.

    Raises:
        ConfigError: If a variable is not set, or a secret stands in the file.
    """
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    missing = sorted({name for name in _VARIABLE.findall("\n".join(lines)) if not os.environ.get(name)})
    if missing:
        raise ConfigError(f"{path.name} needs {', '.join(missing)}: set them in the environment (docs/kubernetes.md)")
    stack = StackFile.model_validate(yaml.safe_load(text))
    for component in stack.components.values():
        for field, value in component.configuration.items():
            secret = field.rpartition("_")[2] in _SECRET_FIELDS and isinstance(value, str)
            if secret and not _REFERENCE.fullmatch(str(value)):
                raise ConfigError(
                    f"{path.name} has the value of '{field}' of {component.name} in plain text; keep it with `zenml "
                    f"secret create` and write a reference such as '{{{{saerl_mlflow.{field}}}}}'"
                )
    return stack.model_copy(update={"components": {k: _filled(c) for k, c in stack.components.items()}})


def _filled(component: Component) -> Component:
    """Put the variables into the parsed values, not into the text: no value can change the file's structure."""
    values: dict[str, Value] = {
        key: _VARIABLE.sub(lambda match: os.environ[match[1]], value) if isinstance(value, str) else value
        for key, value in component.configuration.items()
    }
    return component.model_copy(update={"configuration": values})


def register(stack: StackFile) -> None:
    """Create or update the components and the stack in ZenML.

    Raises:
        ConfigError: If a secret is missing, or a component of that name is of another flavor.
    """
    from zenml.client import Client
    from zenml.enums import StackComponentType

    client, names = Client(), {}
    known = {secret.name for secret in client.list_secrets(size=1000).items}
    missing = [name for name in stack.secrets if name not in known]
    if missing:
        raise ConfigError(
            f"ZenML has no secret {', '.join(missing)}, to which stack '{stack.name}' refers; make each with "
            f"`zenml secret create {missing[0]} -i`, which asks for the values"
        )
    for kind_name, component in stack.components.items():
        kind = StackComponentType(kind_name)
        if component.source and not client.list_flavors(name=component.flavor, type=kind).items:
            client.create_flavor(component.source, kind)
        found = client.list_stack_components(name=component.name, type=kind).items
        if not found:
            client.create_stack_component(component.name, component.flavor, kind, component.configuration)
        elif found[0].flavor_name != component.flavor:
            raise ConfigError(
                f"ZenML has a {kind_name} '{component.name}' of flavor '{found[0].flavor_name}', but stack "
                f"'{stack.name}' asks for '{component.flavor}'; rename one of them"
            )
        else:
            client.update_stack_component(component.name, kind, configuration=component.configuration)
        names[kind] = component.name
    if client.list_stacks(name=stack.name).items:
        client.update_stack(stack.name, component_updates={kind: [name] for kind, name in names.items()})
    else:
        client.create_stack(stack.name, names)


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(path: Path) -> None:
    """Register the stack of the file PATH."""
    apply()
    try:
        stack = read_stack(path)
        register(stack)
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"ZenML stack '{stack.name}' is registered: zenml pipeline run saerl -s {stack.name} -c CONFIG")


if __name__ == "__main__":
    main()
